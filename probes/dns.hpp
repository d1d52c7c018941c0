#pragma once

#include "probes/address.hpp"
#include "probes/dns_reply.hpp"
#include "probes/probe.hpp"

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// How the addresses found must relate to the expected ones.
enum class AddressMatch : std::uint8_t { all, any, exactly };

constexpr auto enum_names(AddressMatch)
{
    return std::array{
        Named{AddressMatch::all, "all"},
        Named{AddressMatch::any, "any"},
        Named{AddressMatch::exactly, "exactly"},
    };
}

// Does a name resolve, and to what it should? Or, with `exists: false`: is it unknown?
//
// With a server of its own, that server is the target, and its silence is its fault. Without one, the
// question goes to this machine's resolvers (hosts file, search domains), and their silence says nothing
// about the name.
struct DnsSpec {
    std::string name{};
    RecordType type = RecordType::any;
    std::optional<Address> server{};
    bool exists = true;
    std::vector<std::string> addresses{};
    AddressMatch match = AddressMatch::all;

    static constexpr std::string_view kind = "dns";
    static constexpr std::string_view summary = "a name resolves, to the addresses that are expected";
    static constexpr auto fields()
    {
        return std::tuple{
            required("name", &DnsSpec::name, "name to look up"),
            optional("type", &DnsSpec::type, "kind of record; any: an address of either family"),
            optional("server", &DnsSpec::server, "host:port of the DNS server to ask; empty: this machine's"),
            optional("exists", &DnsSpec::exists, "false turns it round: there must be no such record"),
            optional("addresses", &DnsSpec::addresses, "addresses that the name is expected to have"),
            optional(
                "match", &DnsSpec::match,
                "which of the expected addresses must be found: all, any, or exactly these and no others"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const DnsSpec&) const = default;
};

asio::awaitable<Verdict> probe(const DnsSpec& spec, Progress& progress);

}  // namespace keepwell
