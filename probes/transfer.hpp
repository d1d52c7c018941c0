#pragma once

#include "probes/secret.hpp"
#include "probes/tls.hpp"
#include "probes/url.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

enum class HttpVersion : std::uint8_t { automatic, http1, http2 };

constexpr auto enum_names(HttpVersion)
{
    return std::array{Named{HttpVersion::automatic, "auto"}, Named{HttpVersion::http1, "1.1"},
                      Named{HttpVersion::http2, "2"}};
}

struct HttpHeader {
    std::string name{};
    std::string value{};
    bool operator==(const HttpHeader&) const = default;
};

// Names of headers are compared without regard to case.
bool same_name(std::string_view a, std::string_view b);

// What is asked of which HTTP server, and how much of its answer is wanted.
struct HttpRequest {
    Url url{};
    std::string method = "GET";
    std::vector<HttpHeader> headers{};
    std::string body{};
    std::string username{};
    Secret password{};
    Secret bearer_token{};
    TlsOptions tls{};
    HttpVersion version = HttpVersion::automatic;
    std::string unix_socket{};  // path of a socket to use instead of TCP
    std::string connect_to{};   // `host` or `host:port` to connect to instead of the URL's; numeric or a name
    std::string proxy{};        // `http://host:port` to ask by; resolved by libcurl unless numeric
    std::string coding{};       // content coding to ask for and to undo, such as gzip; empty: as it comes
    bool reuse = false;  // keep the connection, and take a kept one; else each transfer has one of its own

    std::uint64_t max_body = 1U << 20;  // bytes after which reading stops, which is no error
    std::uint64_t keep_body = 0;        // how many of them to keep
    bool keep_headers = false;

    bool operator==(const HttpRequest&) const = default;
};

// A whole answer, or its first max_body bytes.
struct HttpReply {
    bool has_head = false;  // the status and all headers have come
    int status = 0;
    double version = 0;  // 1.0, 1.1 or 2
    std::vector<HttpHeader> headers{};
    std::string body{};
    std::uint64_t body_bytes = 0;     // read, not kept
    bool body_cut = false;            // there was more than max_body
    std::string redirect{};           // the absolute URL of a redirect's Location, else empty
    std::optional<TlsSession> tls{};  // when it came under TLS
};

// Sends the request and awaits the answer, whatever its status; redirects are not followed. The name is
// resolved by resolve(), and its addresses are tried in turn. Enters the phases from resolve to reply;
// `request` lasts until the first byte of the answer. Notes `certificate_expiry_timestamp_seconds`. Has no
// time limit of its own: the caller cancels. No proxy, no cookies, no .netrc, nothing from the environment.
// Headers may have 256 KiB. Throws Failure or boost::system::system_error when there is no (proper) answer.
asio::awaitable<HttpReply> transfer(const HttpRequest& request, Progress& progress);

// The same for those who want to know what had come before it failed: an empty `reply` is filled in as the
// answer comes.
asio::awaitable<void> transfer(const HttpRequest& request, Progress& progress, HttpReply& reply);

}  // namespace keepwell
