#pragma once

#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"
#include "probes/url.hpp"

#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// The key `alertmanager` of a configuration: who is told of alerts, by Alertmanager's API v2.
struct AlertmanagerSettings {
    std::vector<Url> url{};
    std::string username{};
    Secret password{};
    Secret bearer_token{};
    TlsOptions tls{};
    std::map<std::string, std::string> labels{};
    Duration resend = std::chrono::minutes{1};
    Duration timeout = std::chrono::seconds{10};

    static constexpr auto fields()
    {
        using S = AlertmanagerSettings;
        return std::tuple{
            required("url", &S::url,
                     "http:// or https:// address, with the path before /api/v2/alerts if there is one; of a "
                     "cluster the addresses of all its members"),
            optional("username", &S::username, "for basic authentication"),
            optional("password", &S::password, "for basic authentication"),
            optional("bearer_token", &S::bearer_token, "sent as Authorization: Bearer ..."),
            optional("tls", &S::tls, "how the server's certificate is verified"),
            optional("labels", &S::labels, "labels that every alert has besides its own, such as `site`"),
            optional(
                "resend", &S::resend,
                "a firing alert is sent again this often; Alertmanager takes it for resolved when it has "
                "not heard of it for four times as long")
                .between(1'000'000'000, 3'600'000'000'000),
            optional("timeout", &S::timeout, "limit of one delivery attempt")
                .between(1'000'000, 600'000'000'000),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const AlertmanagerSettings&) const = default;
};

}  // namespace keepwell
