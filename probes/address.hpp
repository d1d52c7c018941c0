#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// Where a server listens: `host:port`, `1.2.3.4:port` or `[::1]:port`.
struct Address {
    std::string host{};  // a name or a numeric address without brackets
    std::uint16_t port = 0;
    std::string pinned{};  // numeric address to connect to instead of resolving `host`; set per instance

    static constexpr std::string_view type_name = "host:port";
    static std::expected<Address, std::string> parse(std::string_view text);
    std::string text() const;
    bool operator==(const Address&) const = default;
};

// True for a numeric IPv4 or IPv6 address (no brackets, no port).
bool is_numeric_address(std::string_view host);

}  // namespace keepwell
