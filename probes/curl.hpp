#pragma once

#include "probes/transfer.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <optional>

namespace keepwell {

// Where an exchange connects to: an address and port, or the request's unix socket.
struct Way {
    std::optional<asio::ip::tcp::endpoint> endpoint{};
    std::chrono::milliseconds connect_limit{0};  // for the connection and its TLS handshake; 0: none
};

// One request and its answer over one connection, by libcurl; what transfer() promises, for one address.
asio::awaitable<void> exchange(const HttpRequest& request, Way way, Progress& progress, HttpReply& reply);

// What a Location header in the answer to a request for `base` means; as it is when it is no URL at all.
std::string absolute_url(const Url& base, const std::string& location);

}  // namespace keepwell
