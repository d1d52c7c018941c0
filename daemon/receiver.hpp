#pragma once

#include "daemon/message_template.hpp"
#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"
#include "probes/url.hpp"

#include <array>
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

// The events that a webhook can be told of.
inline constexpr std::array<std::string_view, 6> webhook_events{
    "alert_fired", "alert_resolved", "signal_raised", "signal_cleared", "action_finished", "quarantined"};

// Whose messages they are: body, headers and content type.
enum class WebhookFormat : std::uint8_t { keepwell, slack, discord, ntfy, gotify };
constexpr auto enum_names(WebhookFormat)
{
    using enum WebhookFormat;
    return std::array{Named{keepwell, "keepwell"}, Named{slack, "slack"}, Named{discord, "discord"},
                      Named{ntfy, "ntfy"}, Named{gotify, "gotify"}};
}

// Who is told of alerts, signals and actions: a POST.
struct WebhookSettings {
    Secret url{};
    std::string name{};
    WebhookFormat format = WebhookFormat::keepwell;
    MessageTemplate body{};
    std::string content_type{};
    std::map<std::string, MessageTemplate> headers{};
    Secret token{};
    Secret secret{};
    std::vector<std::string> events{};
    std::string ca_file{};
    Duration timeout = std::chrono::seconds{10};
    int retries = 5;
    Duration backoff = std::chrono::seconds{1};

    static constexpr auto fields()
    {
        using S = WebhookSettings;
        return std::tuple{
            required("url", &S::url, "http:// or https:// address that takes the POST; often a secret"),
            optional(
                "name", &S::name,
                "what it is called in logs and for `keepwell notify test`; default: `webhook-1` and so on"),
            optional(
                "format", &S::format,
                "`keepwell`: all that is known, as JSON; the others: a message as this service takes it"),
            optional("body", &S::body,
                     "a template in place of the format's body; see [templates](#templates)"),
            optional("content_type", &S::content_type,
                     "in place of the format's; says how values are escaped in the body: JSON, a form "
                     "(application/x-www-form-urlencoded), or not at all"),
            optional("headers", &S::headers, "more request headers; templates, too"),
            optional("token", &S::token,
                     "what `{{ token }}` stands for in the templates of body and headers"),
            optional("secret", &S::secret, "key of the HMAC-SHA256 signature in X-Keepwell-Signature"),
            optional("events", &S::events,
                     "only these events (alert_fired, alert_resolved, signal_raised, signal_cleared, "
                     "action_finished, quarantined); empty: all, and of a format for people alert_fired, "
                     "alert_resolved and action_finished"),
            optional("ca_file", &S::ca_file, "PEM file of the authorities to trust; empty: the system's"),
            optional("timeout", &S::timeout, "limit of one delivery attempt")
                .between(1'000'000, 600'000'000'000),
            optional("retries", &S::retries, "further tries after a failed one").between(0, 20),
            optional("backoff", &S::backoff, "wait before the first retry; doubles each time")
                .between(1'000'000, 600'000'000'000),
        };
    }
    bool wants(std::string_view event) const;
    std::vector<std::string> faults() const;
    bool operator==(const WebhookSettings&) const = default;
};

// `number` counts from 0, in the order of the file.
std::string name_of_webhook(const WebhookSettings& settings, std::size_t number);

// What a POST looks like after format and settings. Without a body it is all that is known, as JSON.
struct WebhookForm {
    std::string content_type{};
    std::map<std::string, MessageTemplate> headers{};
    MessageTemplate body{};
    Escape escape = Escape::none;  // of values in the body
};
WebhookForm form_of(const WebhookSettings& settings);

}  // namespace keepwell
