#pragma once

#include "probes/address.hpp"
#include "probes/probe.hpp"

#include <boost/asio/ip/address.hpp>

#include <string>
#include <vector>

namespace keepwell {

// All addresses of a name, by the one asynchronous resolver of this loop: hosts file first, then DNS; answers are
// kept for their TTL. Never blocks. Throws Failure: dns_failure when the name has no address, resolver_unavailable
// (not_attempted) when no DNS server answers at all.
asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host);

// The same for an address: its pinned or numeric form without a query; enters Phase::resolve.
asio::awaitable<std::vector<asio::ip::address>> resolve(const Address& address, Progress& progress);

}  // namespace keepwell
