#pragma once

#include "exporters/blackbox/attempt.hpp"
#include "probes/stream.hpp"

#include <string>
#include <vector>

namespace keepwell::blackbox {

// What is sent to and expected of a peer over a connection, for the probers tcp and unix.
struct Conversation {
    std::vector<QueryResponse> steps{};
    TlsConfig tls_config{};
    std::string server{};  // its name for TLS, where tls_config has none
    bool begins_with_tls = false;
};

// Has it; whether all came as expected. The conversation must outlive it.
asio::awaitable<bool> converse(const Conversation& conversation, Stream& stream, SharedAttempt attempt);

}  // namespace keepwell::blackbox
