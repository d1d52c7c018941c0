#pragma once

#include "probes/engine.hpp"

#include <expected>

namespace keepwell {

// Where an Engine listens, as its options and the environment say.
struct EngineWay {
    std::string host{};  // for people
    std::string socket{};
    Address address{};  // when there is no socket
    std::optional<TlsOptions> tls{};
};

// The error says what is wrong with them. Without a host in the options, DOCKER_HOST, DOCKER_TLS_VERIFY and
// DOCKER_CERT_PATH mean what they mean to docker's own client.
std::expected<EngineWay, std::string> way_of(const EngineOptions& options);

// Connected, and under TLS where that is asked for. Throws Failure or boost::system::system_error.
asio::awaitable<Stream> reach(EngineWay way);

}  // namespace keepwell
