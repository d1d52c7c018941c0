#include "exporters/blackbox/lookup.hpp"

#include "exporters/blackbox/target.hpp"
#include "probes/dns_reply.hpp"
#include "probes/hosts_file.hpp"
#include "probes/resolver.hpp"

#include <span>

namespace keepwell::blackbox {

namespace {

using Addresses = std::vector<asio::ip::address>;

// Go asks the hosts file before it knows better about localhost.
asio::awaitable<Addresses> addresses_of(std::string host, Clock::time_point due)
{
    static HostsFile hosts{"/etc/hosts"};
    const auto name = lower_case(host);
    if (is_localhost(name)) {
        hosts.refresh();
        if (const auto& found = hosts.find(name); !found.empty())
            co_return found;
    }
    co_return co_await resolve(std::move(host), due);
}

// FNV-1a of the address' bytes.
double hash_of(const asio::ip::address& address)
{
    std::uint32_t hash = 0x811c9dc5;
    const auto add = [&hash](std::span<const unsigned char> bytes) {
        for (const auto byte : bytes)
            hash = (hash ^ byte) * 0x01000193;
    };
    if (address.is_v4())
        add(address.to_v4().to_bytes());
    else
        add(address.to_v6().to_bytes());
    return hash;
}

std::optional<asio::ip::address> choose(const Addresses& addresses, IpProtocol preferred, bool fallback)
{
    for (const auto& each : addresses)
        if (each.is_v4() == (preferred == IpProtocol::ip4))
            return each;
    if (fallback && !addresses.empty())
        return addresses.back();
    return {};
}

}  // namespace

asio::awaitable<std::optional<asio::ip::address>> look_up(std::string host, IpProtocol preferred,
                                                          bool fallback, SharedAttempt attempt)
{
    auto& sheet = attempt->sheet;
    sheet.set(gauge::ip_protocol, 0);
    sheet.set(gauge::ip_hash, 0);
    sheet.set(gauge::lookup_time, 0);
    const auto begun = Clock::now();
    Addresses addresses;
    std::string why = "no address of the wanted protocol";
    try {
        addresses = co_await addresses_of(host, attempt->deadline());
    } catch (const Failure& failure) {
        why = failure.verdict.detail;
    }
    sheet.set(gauge::lookup_time, seconds(Clock::now() - begun));
    for (auto& each : addresses)  // Go holds ::ffff:127.0.0.1 for 127.0.0.1
        if (each.is_v6() && each.to_v6().is_v4_mapped())
            each = asio::ip::make_address_v4(asio::ip::v4_mapped, each.to_v6());
    const auto chosen = choose(addresses, preferred, fallback);
    if (!chosen) {
        const auto host_shown = shown_target(host);
        if (host_shown != host)
            why = "this is no name of a host";  // and what the resolver says of it may repeat it
        attempt->fail("cannot resolve the target", {{"host", host_shown}, {"why", why}});
        co_return std::nullopt;
    }
    sheet.set(gauge::ip_protocol, chosen->is_v4() ? 4 : 6);
    sheet.set(gauge::ip_hash, hash_of(*chosen));
    attempt->info("resolved", {{"host", host}, {"ip", chosen->to_string()}});
    co_return chosen;
}

std::optional<std::pair<std::string, std::string>> split_port(std::string_view target)
{
    const auto colon = target.rfind(':');
    if (colon == target.npos || target.ends_with(']'))
        return {};
    auto host = target.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    else if (host.contains(':'))
        return {};
    return std::pair{std::string{host}, std::string{target.substr(colon + 1)}};
}

}  // namespace keepwell::blackbox
