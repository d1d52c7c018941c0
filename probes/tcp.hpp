#pragma once

#include "probes/tls.hpp"

#include <tuple>

namespace keepwell {

// Does a port accept connections, and does it say what it should?
struct TcpSpec {
    Address address{};

    static constexpr std::string_view kind = "tcp";
    static constexpr std::string_view summary = "connects to a TCP port";
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &TcpSpec::address, "host:port to connect to"),
        };
    }
    bool operator==(const TcpSpec&) const = default;
};

asio::awaitable<Verdict> probe(const TcpSpec& spec, Progress& progress);

}  // namespace keepwell
