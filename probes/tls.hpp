#pragma once

#include "probes/field.hpp"
#include "probes/stream.hpp"

#include <tuple>

namespace keepwell {

// How a TLS server is to be verified, and how we show who we are. Shared by all kinds that speak TLS.
struct TlsOptions {
    std::string ca_file{};
    std::string certificate_file{};
    std::string key_file{};
    std::string server_name{};
    bool insecure = false;

    static constexpr auto fields()
    {
        return std::tuple{
            optional("ca_file", &TlsOptions::ca_file, "PEM file of the authorities to trust; empty: the system's"),
            optional("certificate_file", &TlsOptions::certificate_file, "PEM file of our client certificate"),
            optional("key_file", &TlsOptions::key_file, "PEM file of the client certificate's key"),
            optional("server_name", &TlsOptions::server_name, "name for SNI and verification; empty: the host"),
            optional("insecure", &TlsOptions::insecure, "accept any certificate"),
        };
    }
    bool operator==(const TlsOptions&) const = default;
};

// Turns a connected stream into a TLS client; enters Phase::tls and notes `certificate_expiry_timestamp_seconds`.
// `host` stands in for an empty server_name. Throws Failure when the handshake or the verification fails.
asio::awaitable<void> start_tls(Stream& stream, const TlsOptions& options, const std::string& host, Progress& progress);

}  // namespace keepwell
