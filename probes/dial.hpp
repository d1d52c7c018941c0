#pragma once

#include "probes/result.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <vector>

namespace keepwell {

namespace asio = boost::asio;

// A new connection to one address. Its socket does not block, is not inherited by programs we start, and is
// reset when it is closed. `from` is the address of ours that it is made from. Throws
// boost::system::system_error.
asio::awaitable<asio::ip::tcp::socket> dial(asio::ip::tcp::endpoint to,
                                            std::optional<asio::ip::address> from = {});

// A connection to the first of several addresses that takes one (RFC 8305, section 5). Throws the most
// telling error when all have failed, and timed_out when `limit` has passed.
asio::awaitable<asio::ip::tcp::socket> dial_first(std::vector<asio::ip::tcp::endpoint> candidates,
                                                  Clock::time_point limit);

}  // namespace keepwell
