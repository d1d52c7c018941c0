#include "probes/dns.hpp"

#include "probes/dns_question.hpp"
#include "probes/hosts_file.hpp"
#include "probes/printable.hpp"
#include "probes/resolver.hpp"

#include <algorithm>

namespace keepwell {

namespace {

using Addresses = std::vector<asio::ip::address>;

// "192.0.2.1, 2001:db8::1": what was found, for people.
std::string listed(const DnsReply& reply)
{
    std::string list;
    const auto add = [&list](const std::string& value) { list += (list.empty() ? "" : ", ") + value; };
    for (const auto& address : reply.addresses)
        add(address.to_string());
    for (const auto& value : reply.values)
        add(value);
    return first_line(printable(list));
}

Addresses expected(const DnsSpec& spec)
{
    Addresses expected;
    for (const auto& text : spec.addresses)
        expected.push_back(asio::ip::make_address(text));
    return expected;
}

bool matches(const DnsSpec& spec, const Addresses& found)
{
    const auto wanted = expected(spec);
    const auto is_found = [&found](const auto& each) {
        return std::ranges::find(found, each) != found.end();
    };
    const auto is_wanted = [&wanted](const auto& each) {
        return std::ranges::find(wanted, each) != wanted.end();
    };
    switch (spec.match) {
        case AddressMatch::any: return std::ranges::any_of(wanted, is_found);
        case AddressMatch::all: return std::ranges::all_of(wanted, is_found);
        case AddressMatch::exactly:
            return std::ranges::all_of(wanted, is_found) && std::ranges::all_of(found, is_wanted);
    }
    return false;
}

// Nobody has answered: a chosen server is at fault itself, this machine's resolvers say nothing about the
// name.
Verdict judge_silence(const DnsSpec& spec, const DnsReply& reply)
{
    if (!spec.server)
        return not_attempted(Reason::resolver_unavailable, spec.name + ": " + reply.detail);
    return no_response(reply.refused ? Reason::connection_refused : Reason::timeout,
                       spec.server->text() + ": " + reply.detail);
}

Verdict judge(const DnsSpec& spec, const DnsReply& reply)
{
    switch (reply.status) {
        case DnsStatus::silent: return judge_silence(spec, reply);
        case DnsStatus::unsent:
            return not_attempted(Reason::resource_exhausted, spec.name + ": " + reply.detail);
        case DnsStatus::bad_name:
            return not_attempted(Reason::bad_configuration, spec.name + " is not a host name");
        case DnsStatus::failed: return rejected(Reason::dns_failure, spec.name + ": " + reply.detail);
        case DnsStatus::missing:
            return spec.exists ? rejected(Reason::dns_failure, spec.name + ": " + reply.detail)
                               : ok(reply.detail);
        case DnsStatus::found: break;
    }
    if (!spec.exists)
        return rejected(Reason::name_resolved, spec.name + " resolves: " + listed(reply));
    if (!spec.addresses.empty() && !matches(spec, reply.addresses))
        return rejected(Reason::address_mismatch, spec.name + " resolves to " + listed(reply));
    return ok();
}

bool asks_for_addresses(const DnsSpec& spec)
{
    return spec.type == RecordType::any || spec.type == RecordType::a || spec.type == RecordType::aaaa;
}

// Why no server is ever asked about this name; empty when one is.
std::string name_fault(const DnsSpec& spec)
{
    if (spec.name.empty())
        return "name is empty";
    if (is_numeric_address(spec.name))
        return "name: \"" + spec.name + "\" is an address, which needs no looking up";
    if (spec.server && asks_for_addresses(spec) && is_localhost(lower_case(spec.name)))
        return "name: localhost is this machine, whatever a server says: none is ever asked (RFC 6761)";
    return {};
}

}  // namespace

std::vector<std::string> DnsSpec::faults() const
{
    std::vector<std::string> faults;
    for (const auto& address : addresses)
        if (!is_numeric_address(address) || address.contains('%'))
            faults.push_back("addresses: \"" + address + "\" is not an IPv4 or IPv6 address");
    if (auto fault = name_fault(*this); !fault.empty())
        faults.push_back(std::move(fault));
    if (!addresses.empty() && (!asks_for_addresses(*this) || !exists))
        faults.emplace_back("addresses go with the types any, A and AAAA of a name that exists");
    return faults;
}

asio::awaitable<Verdict> probe(const DnsSpec& spec, Progress& progress)
{
    DnsSettings settings;
    if (spec.server) {
        const auto servers = co_await resolve(*spec.server, progress);
        settings.servers = Address{.host = servers.front().to_string(), .port = spec.server->port}.text();
        settings.literally = true;
    }
    progress.enter(Phase::request);
    const auto reply = co_await ask(spec.name, spec.type, settings, progress.verdict_due());
    progress.enter(Phase::reply);
    progress.note("dns_answers", static_cast<double>(reply.addresses.size() + reply.values.size()));
    co_return judge(spec, reply);
}

}  // namespace keepwell
