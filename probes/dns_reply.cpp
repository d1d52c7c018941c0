#include "probes/dns_reply.hpp"

#include <algorithm>

namespace keepwell {

namespace {

using Addresses = std::vector<asio::ip::address>;

Addresses interleaved(const Addresses& first, const Addresses& second)
{
    Addresses both;
    both.reserve(first.size() + second.size());
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size())
            both.push_back(first[i]);
        if (i < second.size())
            both.push_back(second[i]);
    }
    return both;
}

}  // namespace

bool is_localhost(const std::string& name)
{
    const auto plain = std::string_view{name}.substr(0, name.size() - (name.ends_with('.') ? 1 : 0));
    return plain == "localhost" || plain.ends_with(".localhost");
}

const std::vector<asio::ip::address>& loopback()
{
    static const Addresses both{asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
    return both;
}

DnsReply merged(const DnsReply& v4, const DnsReply& v6)
{
    const bool found4 = v4.status == DnsStatus::found;
    const bool found6 = v6.status == DnsStatus::found;
    if (found4 && found6)
        return {.status = DnsStatus::found,
                .addresses = interleaved(v4.addresses, v6.addresses),
                .ttl = std::min(v4.ttl, v6.ttl)};
    if (found4 || found6)
        return found4 ? v4 : v6;
    return v4.status >= v6.status ? v4 : v6;
}

}  // namespace keepwell
