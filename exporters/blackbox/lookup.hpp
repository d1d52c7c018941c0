#pragma once

#include "exporters/blackbox/attempt.hpp"

#include <boost/asio/ip/address.hpp>

#include <optional>
#include <string>
#include <utility>

namespace keepwell::blackbox {

// The one address of the host that is to be asked: the first of the preferred protocol, else of the other one
// if that will do. Sets the gauges of the look-up. Nothing when there is none; the log says why.
asio::awaitable<std::optional<asio::ip::address>> look_up(std::string host, IpProtocol preferred,
                                                          bool fallback, SharedAttempt attempt);

// `host:port`, `[::1]:port`: the two halves, without brackets; nothing unless there is a port.
std::optional<std::pair<std::string, std::string>> split_port(std::string_view target);

}  // namespace keepwell::blackbox
