#pragma once

#include "probes/field.hpp"

#include <boost/asio/ip/address.hpp>

#include <array>
#include <chrono>
#include <string>
#include <vector>

namespace keepwell {

namespace asio = boost::asio;

// Which records of a name are asked for; `any` means addresses of either family.
enum class RecordType : std::uint8_t { any, a, aaaa, mx, txt, srv, ns };

constexpr auto enum_names(RecordType)
{
    return std::array{
        Named{RecordType::any, "any"}, Named{RecordType::a, "A"},     Named{RecordType::aaaa, "AAAA"},
        Named{RecordType::mx, "MX"},   Named{RecordType::txt, "TXT"}, Named{RecordType::srv, "SRV"},
        Named{RecordType::ns, "NS"},
    };
}

// What the servers say about a name.
enum class DnsStatus : std::uint8_t {
    found,
    missing,   // there is no such name, or it has no such record
    failed,    // a server answered that it cannot say (SERVFAIL, REFUSED, nonsense)
    silent,    // no server answered
    unsent,    // we could not ask: no socket is to be had
    bad_name,  // it is no name at all; nobody was asked
};

struct DnsReply {
    DnsStatus status = DnsStatus::silent;
    std::vector<asio::ip::address> addresses{};
    std::vector<std::string> values{};  // of records that are no addresses, as dig +short prints them
    std::chrono::seconds ttl{};         // the smallest of all records
    bool refused = false;               // silent because nothing listens there
    std::string detail{};               // why there is nothing, for people
};

// One answer out of those for IPv4 and for IPv6. Addresses win over doubt, and doubt over a plain no. IPv4
// comes first, because that is where the services of most stacks listen; then the families take turns (RFC
// 8305, section 4), so that a family that leads nowhere costs one step only.
DnsReply merged(const DnsReply& v4, const DnsReply& v6);

bool is_localhost(const std::string& lower_case_name);  // RFC 6761, section 6.3: never asked for
const std::vector<asio::ip::address>& loopback();

}  // namespace keepwell
