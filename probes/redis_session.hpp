#pragma once

#include "probes/probe.hpp"
#include "probes/redis_reply.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <optional>

namespace keepwell {

// How a Redis server is reached and entered; refers to the fields of a spec.
struct RedisLogin {
    const Address& address;
    const std::optional<TlsOptions>& tls;
    const std::string& username;  // empty: the default user
    const Secret& password;       // empty: no AUTH
    int database = 0;             // 0: no SELECT
};

// Connects, logs in, sends `commands` (made by append_command) and returns their `count` replies, errors
// among them. Login and commands are one write, so that all takes one round trip. Enters all phases. Throws
// Failure (a login that was refused, nonsense on the wire) or boost::system::system_error.
asio::awaitable<std::vector<RedisReply>> converse(RedisLogin login, std::string commands, std::size_t count,
                                                  Progress& progress);

// What an error reply means: starting_up, authentication_required, primary_down, ...
Verdict verdict_of_error(std::string_view error);

}  // namespace keepwell
