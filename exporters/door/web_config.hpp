#pragma once

#include "daemon/problem.hpp"
#include "daemon/variables.hpp"
#include "exporters/door/bcrypt.hpp"
#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/secret.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// What --web.config.file says: the format of Prometheus' exporter-toolkit (docs/web-configuration.md there),
// and `roles`, which is keepwell's own. See docs/web-config.md.

// What somebody may do.
enum class WebRole : std::uint8_t { read, act };
constexpr auto enum_names(WebRole)
{
    return std::array{Named{WebRole::read, "read"}, Named{WebRole::act, "act"}};
}

// Whether a client has to show a certificate, and what is asked of it; in Go's words (crypto/tls,
// ClientAuthType).
enum class ClientAuth : std::uint8_t { none, request, require_any, verify_if_given, require_and_verify };
constexpr auto enum_names(ClientAuth)
{
    return std::array{Named{ClientAuth::none, "NoClientCert"},
                      Named{ClientAuth::request, "RequestClientCert"},
                      Named{ClientAuth::require_any, "RequireAnyClientCert"},
                      Named{ClientAuth::require_any, "RequireClientCert"},  // an old name of it
                      Named{ClientAuth::verify_if_given, "VerifyClientCertIfGiven"},
                      Named{ClientAuth::require_and_verify, "RequireAndVerifyClientCert"}};
}

// TLS 1.0 and 1.1 may be named as what is allowed at least, but are never spoken (RFC 8996).
enum class TlsVersion : std::uint8_t { tls10, tls11, tls12, tls13 };
constexpr auto enum_names(TlsVersion)
{
    return std::array{Named{TlsVersion::tls10, "TLS10"}, Named{TlsVersion::tls11, "TLS11"},
                      Named{TlsVersion::tls12, "TLS12"}, Named{TlsVersion::tls13, "TLS13"}};
}

enum class Curve : std::uint8_t { p256, p384, p521, x25519 };
constexpr auto enum_names(Curve)
{
    return std::array{Named{Curve::p256, "CurveP256"}, Named{Curve::p384, "CurveP384"},
                      Named{Curve::p521, "CurveP521"}, Named{Curve::x25519, "X25519"}};
}

// By its name in RFC 5246 and its successors: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
struct CipherSuite {
    std::string name{};

    static constexpr std::string_view type_name = "cipher suite";
    static std::expected<CipherSuite, std::string> parse(std::string_view text);
    const std::string& text() const { return name; }
    bool is_of_tls13() const;  // which is not chosen by lists, neither here nor by Go
    bool operator==(const CipherSuite&) const = default;
};

// Texts of PEM files are read with the file that names them, so that two configurations that are equal have
// equal certificates, too.
struct TlsServerConfig {
    Secret cert{};
    Secret key{};
    std::optional<ClientAuth> client_auth_type{};
    Secret client_ca{};
    std::vector<std::string> client_allowed_sans{};
    TlsVersion min_version = TlsVersion::tls12;
    TlsVersion max_version = TlsVersion::tls13;
    std::vector<CipherSuite> cipher_suites{};
    bool prefer_server_cipher_suites = true;
    std::vector<Curve> curve_preferences{};

    static constexpr auto fields()
    {
        using Self = TlsServerConfig;
        return std::tuple{
            optional("cert", &Self::cert,
                     "PEM text of the server's certificate and those between it and its root"),
            optional("key", &Self::key, "PEM text of the certificate's key"),
            optional("client_auth_type", &Self::client_auth_type, "whether clients must show a certificate"),
            optional("client_ca", &Self::client_ca,
                     "PEM text of the authorities that sign clients' certificates"),
            optional("client_allowed_sans", &Self::client_allowed_sans,
                     "alternative names of which a client's certificate must have one"),
            optional("min_version", &Self::min_version, "oldest version of TLS that is spoken"),
            optional("max_version", &Self::max_version, "newest version of TLS that is spoken"),
            optional("cipher_suites", &Self::cipher_suites, "cipher suites up to TLS 1.2"),
            optional("prefer_server_cipher_suites", &Self::prefer_server_cipher_suites,
                     "whether the order of the server's cipher suites goes before the client's"),
            optional("curve_preferences", &Self::curve_preferences, "elliptic curves, the first one first")};
    }

    bool is_given() const;  // anything that only makes sense with TLS
    ClientAuth client_auth() const { return client_auth_type.value_or(ClientAuth::none); }
    // Are clients' certificates checked, so that their names mean something?
    bool verifies() const
    {
        return client_auth() == ClientAuth::verify_if_given ||
               client_auth() == ClientAuth::require_and_verify;
    }
    std::vector<std::string> faults() const;
    bool operator==(const TlsServerConfig&) const = default;
};

struct HeaderValue {
    std::string value{};

    static constexpr std::string_view type_name = "header value";
    static std::expected<HeaderValue, std::string> parse(std::string_view text);
    const std::string& text() const { return value; }
    bool operator==(const HeaderValue&) const = default;
};

enum class FrameOptions : std::uint8_t { deny, sameorigin };
constexpr auto enum_names(FrameOptions)
{
    return std::array{Named{FrameOptions::deny, "deny"}, Named{FrameOptions::sameorigin, "sameorigin"}};
}
enum class ContentTypeOptions : std::uint8_t { nosniff };
constexpr auto enum_names(ContentTypeOptions)
{
    return std::array{Named{ContentTypeOptions::nosniff, "nosniff"}};
}

// Headers of every answer, where the answer has none of that name itself.
struct ExtraHeaders {
    HeaderValue content_security_policy{};
    HeaderValue strict_transport_security{};
    HeaderValue xss_protection{};
    std::optional<FrameOptions> frame_options{};
    std::optional<ContentTypeOptions> content_type_options{};

    static constexpr auto fields()
    {
        using Self = ExtraHeaders;
        return std::tuple{
            optional("Content-Security-Policy", &Self::content_security_policy, "where the page has none"),
            optional("Strict-Transport-Security", &Self::strict_transport_security, "browsers remember it"),
            optional("X-XSS-Protection", &Self::xss_protection, "for old browsers"),
            optional("X-Frame-Options", &Self::frame_options, "who may show this in a frame"),
            optional("X-Content-Type-Options", &Self::content_type_options, "always nosniff")};
    }
    std::vector<std::pair<std::string_view, std::string>> lines() const;
    bool operator==(const ExtraHeaders&) const = default;
};

struct HttpServerConfig {
    bool http2 = true;
    ExtraHeaders headers{};

    static constexpr auto fields()
    {
        using Self = HttpServerConfig;
        return std::tuple{optional("http2", &Self::http2, "means nothing here: HTTP/1.1 is spoken"),
                          optional("headers", &Self::headers, "headers of every answer")};
    }
    bool operator==(const HttpServerConfig&) const = default;
};

struct RateLimitConfig {
    Duration interval{};
    int burst = 1;

    static constexpr auto fields()
    {
        using Self = RateLimitConfig;
        constexpr std::int64_t longest = std::chrono::nanoseconds{std::chrono::hours{1}}.count();
        return std::tuple{
            optional("interval", &Self::interval, "time between two requests; 0: no limit")
                .between(0, longest),
            optional("burst", &Self::burst, "requests that may come at once").between(1, 1'000'000)};
    }
    bool operator==(const RateLimitConfig&) const = default;
};

struct WebConfig {
    TlsServerConfig tls_server_config{};
    HttpServerConfig http_server_config{};
    std::map<std::string, BcryptHash> basic_auth_users{};
    std::map<std::string, WebRole> roles{};
    RateLimitConfig rate_limit{};

    static constexpr auto fields()
    {
        using Self = WebConfig;
        return std::tuple{optional("tls_server_config", &Self::tls_server_config, "TLS, and whom it lets in"),
                          optional("http_server_config", &Self::http_server_config, "headers"),
                          optional("basic_auth_users", &Self::basic_auth_users,
                                   "names and bcrypt hashes of their passwords"),
                          optional("roles", &Self::roles, "who may `act`; everybody else may `read`"),
                          optional("rate_limit", &Self::rate_limit, "requests that are answered at most")};
    }

    // Does everybody who comes over TCP have to show who he is?
    bool asks_who() const
    {
        return !basic_auth_users.empty() || tls_server_config.client_auth() != ClientAuth::none;
    }
    std::vector<std::string> faults() const;
    bool operator==(const WebConfig&) const = default;
};

// With errors among the problems the configuration is not to be used.
struct LoadedWebConfig {
    WebConfig config{};
    std::vector<Problem> problems{};
    bool says_nothing = false;  // empty, or keys without values; `{}` says that nothing is set
    bool ok() const { return !has_errors(problems); }
};

// Reads the file and those that it names. A file that cannot be read is a problem, too. Of a configuration
// without problems it is known that TLS can be set up with it.
LoadedWebConfig load_web_config(const std::string& path);
LoadedWebConfig parse_web_config(std::string_view text, const std::string& file, const std::string& directory,
                                 const Variables& variables = environment);

}  // namespace keepwell
