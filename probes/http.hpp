#pragma once

#include "probes/byte_size.hpp"
#include "probes/json_check.hpp"
#include "probes/pattern.hpp"
#include "probes/status_ranges.hpp"
#include "probes/transfer.hpp"

#include <map>
#include <tuple>

namespace keepwell {

// What one response header must be like. Without `matches`, `not_matches` and `absent` it must be there.
struct HeaderCheck {
    std::string name{};
    Pattern matches{};
    Pattern not_matches{};
    bool absent = false;

    static constexpr auto fields()
    {
        return std::tuple{
            required("name", &HeaderCheck::name, "name of the response header"),
            optional("matches", &HeaderCheck::matches, "regex that one of its values must match"),
            optional("not_matches", &HeaderCheck::not_matches, "regex that none of its values may match"),
            optional("absent", &HeaderCheck::absent, "the header must not be there"),
        };
    }
    bool operator==(const HeaderCheck&) const = default;
};

// Does an HTTP server answer, and does the answer say what it should?
struct HttpSpec {
    Url url{};
    std::string method = "GET";
    std::map<std::string, std::string> headers{};
    std::string body{};
    std::string username{};
    Secret password{};
    Secret bearer_token{};
    TlsOptions tls{};
    HttpVersion http_version = HttpVersion::automatic;
    std::string unix_socket{};
    std::string connect_to{};
    bool follow_redirects = true;
    int max_redirects = 10;
    StatusRanges status{200, 299};
    std::vector<Pattern> body_matches{};
    std::vector<Pattern> body_not_matches{};
    std::vector<HeaderCheck> header_checks{};
    std::vector<JsonCheck> json{};
    ByteSize max_body{1U << 20};
    int certificate_min_days = 0;
    bool reuse = false;

    static constexpr std::string_view kind = "http";
    static constexpr std::string_view summary = "asks an HTTP or HTTPS server and checks its answer";
    static constexpr auto fields()
    {
        using S = HttpSpec;
        return std::tuple{
            required("url", &S::url, "http:// or https:// address, without credentials"),
            optional("method", &S::method, "request method"),
            optional("headers", &S::headers, "request headers, name: value"),
            optional("body", &S::body, "request body; its Content-Type is a header"),
            optional("username", &S::username, "for basic authentication"),
            optional("password", &S::password, "for basic authentication"),
            optional("bearer_token", &S::bearer_token, "sent as Authorization: Bearer ..."),
            optional("tls", &S::tls, "how the server's certificate is verified"),
            optional(
                "http_version", &S::http_version,
                "auto: HTTP/2 where TLS offers it, else 1.1; 2 must be answered as HTTP/2, without TLS it is "
                "begun at once (prior knowledge)"),
            optional("unix_socket", &S::unix_socket,
                     "path of a socket to connect to instead of the URL's host"),
            optional(
                "connect_to", &S::connect_to,
                "host or host:port to connect to instead of the URL's, whose name stays in the Host header"),
            optional(
                "follow_redirects", &S::follow_redirects,
                "follow redirects whose status is not an accepted one; credentials, headers, body and client "
                "certificate are not sent to another host"),
            optional("max_redirects", &S::max_redirects, "how many redirects are followed").between(0, 100),
            optional("status", &S::status, "accepted statuses"),
            optional("body_matches", &S::body_matches, "regexes that must each be found in the body"),
            optional("body_not_matches", &S::body_not_matches, "regexes that must not be found in the body"),
            optional("header_checks", &S::header_checks, "what response headers must be like"),
            optional("json", &S::json, "values that the JSON body must hold"),
            optional("max_body", &S::max_body,
                     "reading stops after this many bytes, which is no failure: the checks see what was read")
                .between(0, std::int64_t{1} << 30),
            optional("certificate_min_days", &S::certificate_min_days,
                     "the server's certificates must be valid for so many days yet; 0: only now")
                .between(0, 3650),
            optional("reuse", &S::reuse,
                     "keep the connection between attempts: cheaper for both, but a server that "
                     "no longer accepts connections goes unnoticed"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const HttpSpec&) const = default;
};

asio::awaitable<Verdict> probe(const HttpSpec& spec, Progress& progress);

}  // namespace keepwell
