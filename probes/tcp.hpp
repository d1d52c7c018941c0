#pragma once

#include "probes/hex_bytes.hpp"
#include "probes/pattern.hpp"
#include "probes/tls.hpp"

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// Does a port accept connections, and does it say what it should? Or, with `unreachable`: is it closed to us?
struct TcpSpec {
    Address address{};
    std::optional<TlsOptions> tls{};
    int certificate_min_days = 0;
    std::string send{};
    HexBytes send_hex{};
    Pattern expect{};
    HexBytes expect_bytes{};
    bool unreachable = false;

    static constexpr std::string_view kind = "tcp";
    static constexpr std::string_view summary =
        "connects to a TCP port, plain or with TLS, and may send something and expect an answer";
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &TcpSpec::address, "host:port to connect to"),
            optional("tls", &TcpSpec::tls, "speak TLS: true, or a table of options"),
            optional("certificate_min_days", &TcpSpec::certificate_min_days,
                     "reject a certificate that expires sooner than in so many days; 0: when it has expired")
                .between(0, 36'500),
            optional("send", &TcpSpec::send, "text to send after connecting"),
            optional("send_hex", &TcpSpec::send_hex, "bytes to send after connecting, in hexadecimal"),
            optional("expect", &TcpSpec::expect,
                     "regular expression that must be found in the first 64 KiB of what the server says"),
            optional("expect_bytes", &TcpSpec::expect_bytes,
                     "bytes that must be found in the first 64 KiB of what the server says, in hexadecimal"),
            optional("unreachable", &TcpSpec::unreachable,
                     "turn it round: ok when nobody can connect (refused, no answer, no such name)"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const TcpSpec&) const = default;
};

asio::awaitable<Verdict> probe(const TcpSpec& spec, Progress& progress);

}  // namespace keepwell
