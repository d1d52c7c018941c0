#pragma once

#include "probes/address.hpp"
#include "probes/dns_channel.hpp"
#include "probes/probe.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/address.hpp>

#include <optional>
#include <string>
#include <vector>

namespace keepwell {

// All addresses of a name, IPv4 first, by the one asynchronous resolver of this loop: `localhost` and numeric
// addresses as they are, then the hosts file, then DNS; answers are kept for their TTL (NameCache), and
// look-ups of one name at one time share a query. Never blocks, and answers by `due`. A name that hangs
// delays no other.
//
// Throws Failure. dns_failure: there is no such name, or the servers answer but not about this name.
// not_attempted, resolver_unavailable: since we asked, no server has answered anything, not even what is the
// root of all names; that says nothing about the target. not_attempted, bad_configuration: it is no name at
// all.
asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host,
                                                        Clock::time_point due = Clock::time_point::max());

// The same for an address: its pinned or numeric form without a query; enters Phase::resolve.
asio::awaitable<std::vector<asio::ip::address>> resolve(const Address& address, Progress& progress);

// The address itself when it needs no look-up: pinned or numeric.
std::optional<asio::ip::address> numeric_form(const Address& address);

// Drops what is known about a name, because nobody answered at its addresses: the next attempt asks again.
void forget_name(const asio::any_io_executor& executor, const std::string& host);

// Makes the resolver of this loop use other servers and files; for tests and the daemon's configuration.
void configure_resolver(asio::execution_context& loop, DnsSettings settings);

}  // namespace keepwell
