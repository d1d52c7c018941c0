#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// DNS messages (RFC 1035) in full, with every section, for those who look at more than the addresses: c-ares
// shows those only.

// The numbers of names such as `SOA`, `IN`, `NXDOMAIN`, and of `TYPE65280`; nothing for others.
std::optional<std::uint16_t> dns_type(std::string_view name);
std::optional<std::uint16_t> dns_class(std::string_view name);
std::optional<std::uint16_t> dns_rcode(std::string_view name);
std::string dns_rcode_name(std::uint16_t rcode);

struct DnsRecord {
    std::string owner{};  // with its dot at the end
    std::uint16_t type = 0;
    std::uint16_t kind = 0;  // its class
    std::uint32_t ttl = 0;
    std::string data{};        // as in a zone file; of types that are not known, as RFC 3597 says
    std::uint32_t serial = 0;  // of a SOA

    // `example.org.<TAB>300<TAB>IN<TAB>A<TAB>192.0.2.1`, as dig prints it.
    std::string text() const;
};

struct DnsMessage {
    std::uint16_t id = 0;
    bool is_response = false;
    std::uint16_t rcode = 0;
    std::vector<DnsRecord> answers{};
    std::vector<DnsRecord> authorities{};
    std::vector<DnsRecord> additionals{};
};

// A query for one name; nothing when the name is none (labels of more than 63 bytes, 255 in all).
std::optional<std::string> dns_query(std::uint16_t id, std::string_view name, std::uint16_t type,
                                     std::uint16_t kind, bool recursion_desired);

// Nothing for what is no message, or is cut off.
std::optional<DnsMessage> parse_dns_message(std::string_view bytes);

}  // namespace keepwell
