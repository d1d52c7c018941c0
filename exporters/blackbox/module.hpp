#pragma once

#include "probes/byte_size.hpp"
#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/pattern.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell::blackbox {

// What a module of blackbox_exporter's configuration file may say, by its CONFIGURATION.md: keys, defaults
// and meaning are its.

enum class Prober : std::uint8_t { http, tcp, dns, icmp, grpc, unix_socket };
constexpr auto enum_names(Prober)
{
    return std::array{Named{Prober::http, "http"}, Named{Prober::tcp, "tcp"},
                      Named{Prober::dns, "dns"},   Named{Prober::icmp, "icmp"},
                      Named{Prober::grpc, "grpc"}, Named{Prober::unix_socket, "unix"}};
}

enum class IpProtocol : std::uint8_t { ip6, ip4 };
constexpr auto enum_names(IpProtocol)
{
    return std::array{Named{IpProtocol::ip6, "ip6"}, Named{IpProtocol::ip4, "ip4"}};
}

enum class TlsVersion : std::uint8_t { any, tls10, tls11, tls12, tls13 };
constexpr auto enum_names(TlsVersion)
{
    return std::array{Named{TlsVersion::any, ""}, Named{TlsVersion::tls10, "TLS10"},
                      Named{TlsVersion::tls11, "TLS11"}, Named{TlsVersion::tls12, "TLS12"},
                      Named{TlsVersion::tls13, "TLS13"}};
}

struct TlsConfig {
    std::string ca_file{};
    std::string cert_file{};
    std::string key_file{};
    std::string server_name{};
    bool insecure_skip_verify = false;
    TlsVersion min_version = TlsVersion::any;
    TlsVersion max_version = TlsVersion::any;

    static constexpr auto fields()
    {
        using S = TlsConfig;
        return std::tuple{
            optional("insecure_skip_verify", &S::insecure_skip_verify, "accept any certificate"),
            optional("ca_file", &S::ca_file, "PEM file of the authorities to trust"),
            optional("cert_file", &S::cert_file, "PEM file of the client certificate"),
            optional("key_file", &S::key_file, "PEM file of the client certificate's key"),
            optional("server_name", &S::server_name, "name for SNI and verification"),
            optional("min_version", &S::min_version, "oldest version of TLS that is accepted"),
            optional("max_version", &S::max_version, "newest version of TLS that is offered"),
        };
    }
    TlsOptions options() const
    {
        return {.ca_file = ca_file,
                .certificate_file = cert_file,
                .key_file = key_file,
                .server_name = server_name,
                .insecure = insecure_skip_verify,
                .min_version = std::string{name_of(min_version)},
                .max_version = std::string{name_of(max_version)},
                .describe = true};
    }
    bool operator==(const TlsConfig&) const = default;
};

struct BasicAuth {
    std::string username{};
    Secret password{};

    static constexpr auto fields()
    {
        return std::tuple{optional("username", &BasicAuth::username, "user name"),
                          optional("password", &BasicAuth::password, "password")};
    }
    bool operator==(const BasicAuth&) const = default;
};

struct Authorization {
    std::string type = "Bearer";
    Secret credentials{};

    static constexpr auto fields()
    {
        return std::tuple{optional("type", &Authorization::type, "authentication scheme"),
                          optional("credentials", &Authorization::credentials, "what follows the scheme")};
    }
    bool operator==(const Authorization&) const = default;
};

struct HeaderMatch {
    std::string header{};
    Pattern regexp{};
    bool allow_missing = false;

    static constexpr auto fields()
    {
        using S = HeaderMatch;
        return std::tuple{required("header", &S::header, "name of the response header"),
                          required("regexp", &S::regexp, "what its values are compared with"),
                          optional("allow_missing", &S::allow_missing, "the header need not be there")};
    }
    bool operator==(const HeaderMatch&) const = default;
};

struct HttpModule {
    std::vector<int> valid_status_codes{};
    std::vector<std::string> valid_http_versions{};
    std::string method = "GET";
    std::map<std::string, std::string> headers{};
    ByteSize body_size_limit{};
    std::string compression{};
    bool follow_redirects = true;
    bool no_follow_redirects = false;
    bool fail_if_ssl = false;
    bool fail_if_not_ssl = false;
    std::vector<Pattern> fail_if_body_matches_regexp{};
    std::vector<Pattern> fail_if_body_not_matches_regexp{};
    std::vector<HeaderMatch> fail_if_header_matches{};
    std::vector<HeaderMatch> fail_if_header_not_matches{};
    TlsConfig tls_config{};
    std::optional<BasicAuth> basic_auth{};
    std::optional<Authorization> authorization{};
    Secret bearer_token{};
    std::string proxy_url{};
    bool skip_resolve_phase_with_proxy = false;
    bool enable_http2 = true;
    IpProtocol preferred_ip_protocol = IpProtocol::ip6;
    bool ip_protocol_fallback = true;
    Secret body{};

    static constexpr auto fields()
    {
        using S = HttpModule;
        return std::tuple{
            optional("valid_status_codes", &S::valid_status_codes, "accepted statuses; none: 200 to 299")
                .between(100, 999),
            optional("valid_http_versions", &S::valid_http_versions, "such as HTTP/1.1 and HTTP/2.0"),
            optional("method", &S::method, "request method"),
            optional("headers", &S::headers, "request headers"),
            optional("body_size_limit", &S::body_size_limit, "a longer body is a failure; 0: any length"),
            optional("compression", &S::compression, "gzip, br, deflate or identity: how the body must come"),
            optional("follow_redirects", &S::follow_redirects, "follow redirects"),
            optional("no_follow_redirects", &S::no_follow_redirects, "the old way to say the opposite"),
            optional("fail_if_ssl", &S::fail_if_ssl, "the last answer must not come under TLS"),
            optional("fail_if_not_ssl", &S::fail_if_not_ssl, "the last answer must come under TLS"),
            optional("fail_if_body_matches_regexp", &S::fail_if_body_matches_regexp, "not to be in the body"),
            optional("fail_if_body_not_matches_regexp", &S::fail_if_body_not_matches_regexp,
                     "to be in the body"),
            optional("fail_if_header_matches", &S::fail_if_header_matches,
                     "headers that no value may be like"),
            optional("fail_if_header_not_matches", &S::fail_if_header_not_matches,
                     "headers that one value must be like"),
            optional("tls_config", &S::tls_config, "how the server is verified"),
            optional("basic_auth", &S::basic_auth, "user name and password"),
            optional("authorization", &S::authorization, "credentials of any other kind"),
            optional("bearer_token", &S::bearer_token, "sent as Authorization: Bearer ..."),
            optional("proxy_url", &S::proxy_url, "HTTP proxy to ask by"),
            optional("skip_resolve_phase_with_proxy", &S::skip_resolve_phase_with_proxy,
                     "the proxy resolves the target's name"),
            optional("enable_http2", &S::enable_http2, "HTTP/2 where the server offers it under TLS"),
            optional("preferred_ip_protocol", &S::preferred_ip_protocol, "ip4 or ip6"),
            optional("ip_protocol_fallback", &S::ip_protocol_fallback, "the other protocol will do, too"),
            optional("body", &S::body, "request body"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const HttpModule&) const = default;
};

// A label of probe_expect_info; its value may name groups of the match: `${1}`.
struct ExpectLabel {
    std::string name{};
    std::string value{};

    static constexpr auto fields()
    {
        return std::tuple{required("name", &ExpectLabel::name, "label name"),
                          required("value", &ExpectLabel::value, "label value")};
    }
    bool operator==(const ExpectLabel&) const = default;
};

struct QueryResponse {
    Pattern expect{};
    std::string expect_bytes{};
    std::vector<ExpectLabel> labels{};
    Secret send{};
    bool starttls = false;

    static constexpr auto fields()
    {
        using S = QueryResponse;
        return std::tuple{optional("expect", &S::expect, "lines are read until one is like this"),
                          optional("expect_bytes", &S::expect_bytes, "the bytes that must come next"),
                          optional("labels", &S::labels, "labels of probe_expect_info"),
                          optional("send", &S::send, "line to send; may name groups of the match: ${1}"),
                          optional("starttls", &S::starttls, "go on under TLS")};
    }
    bool operator==(const QueryResponse&) const = default;
};

struct TcpModule {
    IpProtocol preferred_ip_protocol = IpProtocol::ip6;
    bool ip_protocol_fallback = true;
    std::string source_ip_address{};
    std::vector<QueryResponse> query_response{};
    bool tls = false;
    TlsConfig tls_config{};

    static constexpr auto fields()
    {
        using S = TcpModule;
        return std::tuple{
            optional("preferred_ip_protocol", &S::preferred_ip_protocol, "ip4 or ip6"),
            optional("ip_protocol_fallback", &S::ip_protocol_fallback, "the other protocol will do, too"),
            optional("source_ip_address", &S::source_ip_address, "address to connect from"),
            optional("query_response", &S::query_response, "what is sent and expected, in order"),
            optional("tls", &S::tls, "TLS from the beginning"),
            optional("tls_config", &S::tls_config, "how the server is verified"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const TcpModule&) const = default;
};

struct UnixModule {
    std::vector<QueryResponse> query_response{};
    bool tls = false;
    TlsConfig tls_config{};

    static constexpr auto fields()
    {
        using S = UnixModule;
        return std::tuple{
            optional("query_response", &S::query_response, "what is sent and expected, in order"),
            optional("tls", &S::tls, "TLS from the beginning"),
            optional("tls_config", &S::tls_config, "how the server is verified")};
    }
    bool operator==(const UnixModule&) const = default;
};

struct RecordRules {
    std::vector<Pattern> fail_if_matches_regexp{};
    std::vector<Pattern> fail_if_all_match_regexp{};
    std::vector<Pattern> fail_if_not_matches_regexp{};
    std::vector<Pattern> fail_if_none_matches_regexp{};

    static constexpr auto fields()
    {
        using S = RecordRules;
        return std::tuple{
            optional("fail_if_matches_regexp", &S::fail_if_matches_regexp, "no record may be like these"),
            optional("fail_if_all_match_regexp", &S::fail_if_all_match_regexp,
                     "a failure unless all records are like these"),
            optional("fail_if_not_matches_regexp", &S::fail_if_not_matches_regexp,
                     "every record must be like these"),
            optional("fail_if_none_matches_regexp", &S::fail_if_none_matches_regexp,
                     "one record must be like one of these"),
        };
    }
    bool operator==(const RecordRules&) const = default;
};

struct DnsModule {
    IpProtocol preferred_ip_protocol = IpProtocol::ip6;
    bool ip_protocol_fallback = true;
    std::string source_ip_address{};
    std::string transport_protocol = "udp";
    bool dns_over_tls = false;
    TlsConfig tls_config{};
    std::string query_name{};
    std::string query_type = "ANY";
    std::string query_class = "IN";
    bool recursion_desired = true;
    std::vector<std::string> valid_rcodes{};
    RecordRules validate_answer_rrs{};
    RecordRules validate_authority_rrs{};
    RecordRules validate_additional_rrs{};

    static constexpr auto fields()
    {
        using S = DnsModule;
        return std::tuple{
            required("query_name", &S::query_name, "name to ask about"),
            optional("preferred_ip_protocol", &S::preferred_ip_protocol, "ip4 or ip6"),
            optional("ip_protocol_fallback", &S::ip_protocol_fallback, "the other protocol will do, too"),
            optional("source_ip_address", &S::source_ip_address, "address to ask from"),
            optional("transport_protocol", &S::transport_protocol, "udp or tcp"),
            optional("dns_over_tls", &S::dns_over_tls, "over TLS, which needs tcp"),
            optional("tls_config", &S::tls_config, "how the server is verified"),
            optional("query_type", &S::query_type, "A, AAAA, MX, SOA, ..."),
            optional("query_class", &S::query_class, "IN, CH, HS, NONE or ANY"),
            optional("recursion_desired", &S::recursion_desired, "ask the server to ask others"),
            optional("valid_rcodes", &S::valid_rcodes, "accepted response codes; none: NOERROR"),
            optional("validate_answer_rrs", &S::validate_answer_rrs, "rules for the answer section"),
            optional("validate_authority_rrs", &S::validate_authority_rrs, "rules for the authority section"),
            optional("validate_additional_rrs", &S::validate_additional_rrs, "rules for the additional one"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const DnsModule&) const = default;
};

struct IcmpModule {
    IpProtocol preferred_ip_protocol = IpProtocol::ip6;
    bool ip_protocol_fallback = true;
    std::string source_ip_address{};
    bool dont_fragment = false;
    int payload_size = 0;
    int ttl = 0;

    static constexpr auto fields()
    {
        using S = IcmpModule;
        return std::tuple{
            optional("preferred_ip_protocol", &S::preferred_ip_protocol, "ip4 or ip6"),
            optional("ip_protocol_fallback", &S::ip_protocol_fallback, "the other protocol will do, too"),
            optional("source_ip_address", &S::source_ip_address, "address to send from"),
            optional("dont_fragment", &S::dont_fragment, "routers may not fragment the packet; IPv4 only"),
            optional("payload_size", &S::payload_size, "bytes after the header; 0: a few").between(0, 65'500),
            optional("ttl", &S::ttl, "how many hops the packet may make; 0: as usual").between(0, 255),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const IcmpModule&) const = default;
};

struct GrpcModule {
    std::string service{};
    bool tls = false;
    TlsConfig tls_config{};
    IpProtocol preferred_ip_protocol = IpProtocol::ip6;
    bool ip_protocol_fallback = true;

    static constexpr auto fields()
    {
        using S = GrpcModule;
        return std::tuple{
            optional("service", &S::service, "the service whose health is asked for; empty: the server's"),
            optional("tls", &S::tls, "connect with TLS"),
            optional("tls_config", &S::tls_config, "how the server is verified"),
            optional("preferred_ip_protocol", &S::preferred_ip_protocol, "ip4 or ip6"),
            optional("ip_protocol_fallback", &S::ip_protocol_fallback, "the other protocol will do, too"),
        };
    }
    bool operator==(const GrpcModule&) const = default;
};

struct Module {
    Prober prober = Prober::http;
    Duration timeout{};
    HttpModule http{};
    TcpModule tcp{};
    std::optional<DnsModule> dns{};
    IcmpModule icmp{};
    GrpcModule grpc{};
    UnixModule unix_socket{};

    static constexpr auto fields()
    {
        using S = Module;
        return std::tuple{
            required("prober", &S::prober, "http, tcp, dns, icmp, grpc or unix"),
            optional("timeout", &S::timeout, "how long an attempt may take; 0: as long as the scrape"),
            optional("http", &S::http, "for prober http"),
            optional("tcp", &S::tcp, "for prober tcp"),
            optional("dns", &S::dns, "for prober dns"),
            optional("icmp", &S::icmp, "for prober icmp"),
            optional("grpc", &S::grpc, "for prober grpc"),
            optional("unix", &S::unix_socket, "for prober unix"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const Module&) const = default;
};

struct Modules {
    std::map<std::string, Module> modules{};

    static constexpr auto fields()
    {
        return std::tuple{required("modules", &Modules::modules, "modules by name")};
    }
    bool operator==(const Modules&) const = default;
};

}  // namespace keepwell::blackbox
