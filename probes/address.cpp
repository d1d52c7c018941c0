#include "probes/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace keepwell {

namespace {

bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

}  // namespace

bool is_numeric_address(std::string_view host)
{
    unsigned char buffer[sizeof(in6_addr)];
    const std::string text{host.substr(0, host.find('%'))};
    return ::inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

std::expected<Address, std::string> Address::parse(std::string_view text)
{
    const auto colon = text.rfind(':');
    if (colon == text.npos)
        return std::unexpected("expected host:port, such as \"redis:6379\" or \"[::1]:6379\"");
    Address address;
    auto host = text.substr(0, colon);
    const auto port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc{} || end != port.data() + port.size() || address.port == 0)
        return std::unexpected("expected a port between 1 and 65535 after the last colon");
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        if (!host.contains(':') || !is_numeric_address(host))
            return std::unexpected("expected an IPv6 address between the brackets");
    } else if (host.contains(':')) {
        return std::unexpected("an IPv6 address needs brackets, such as \"[::1]:6379\"");
    } else if (host.empty() || host.size() > 253 || !std::ranges::all_of(host, is_host_character)) {
        return std::unexpected("expected a host name or a numeric address before the colon");
    }
    address.host = host;
    return address;
}

std::string Address::text() const
{
    if (host.empty())
        return {};
    return (host.contains(':') ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace keepwell
