#pragma once

#include "probes/field.hpp"
#include "probes/stream.hpp"

#include <chrono>
#include <optional>
#include <tuple>

namespace keepwell {

// How a TLS server is to be verified, and how we show who we are. Shared by all kinds that speak TLS.
struct TlsOptions {
    std::string ca_file{};
    std::string certificate_file{};
    std::string key_file{};
    std::string server_name{};
    bool insecure = false;
    // Not keys of a configuration of ours; versions as in `TLS12`, empty: from 1.2 on.
    std::string min_version{};
    std::string max_version{};
    bool describe = false;  // the session is to have details

    static constexpr auto fields()
    {
        return std::tuple{
            optional("ca_file", &TlsOptions::ca_file,
                     "PEM file of the authorities to trust; empty: the system's"),
            optional("certificate_file", &TlsOptions::certificate_file, "PEM file of our client certificate"),
            optional("key_file", &TlsOptions::key_file, "PEM file of the client certificate's key"),
            optional("server_name", &TlsOptions::server_name,
                     "name for SNI and verification; empty: the host"),
            optional("insecure", &TlsOptions::insecure, "accept any certificate"),
        };
    }
    bool operator==(const TlsOptions&) const = default;
};

// What people want to see of a session. Names are written as Go's crypto/x509 does, which makes them the same
// in other exporters' labels.
struct TlsDetails {
    std::string version{};  // `TLS 1.3`
    std::string cipher{};   // its name in IANA's list
    // Of the server's own certificate:
    std::string fingerprint_sha256{};  // 64 lower-case hexadecimal digits
    std::string subject{};
    std::string issuer{};
    std::string dns_names{};  // that it is valid for, with commas between them
    std::string serial{};     // upper-case hexadecimal digits
    // When the first certificate of the chain that was verified expires; none when none was.
    std::optional<std::chrono::sys_seconds> chain_expiry{};
};

// What a handshake tells about the server's certificate.
struct TlsSession {
    std::chrono::sys_seconds earliest_expiry{};  // of all certificates that it sent
    std::optional<TlsDetails> details{};         // when they were asked for
};

// Turns a connected stream into a TLS client; enters Phase::tls. Notes `certificate_expiry_timestamp_seconds`
// before it judges the certificate, and with `insecure` too. `host` stands in for an empty server_name.
//
// Throws Failure or boost::system::system_error. rejected: the handshake failed, or the certificate is not to
// be trusted, out of date, or another's. not_attempted: a file of the options cannot be read or used.
asio::awaitable<TlsSession> start_tls(Stream& stream, const TlsOptions& options, const std::string& host,
                                      Progress& progress);

// The same for a library that makes contexts and sessions of its own (libcurl). Both pointers are OpenSSL's:
// an SSL_CTX that serves one connection only, before its handshake; and the SSL after it, before anything is
// sent.
void set_up_tls(void* context, const TlsOptions& options, const std::string& host);
TlsSession judge_tls(void* session, const TlsOptions& options, const std::string& host, Progress& progress);

// A rejected verdict when the session's certificate is valid for fewer than `days` more, counted from now.
std::optional<Verdict> expires_within(const TlsSession& session, int days);

}  // namespace keepwell
