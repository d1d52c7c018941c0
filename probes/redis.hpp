#pragma once

#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

enum class RedisRole : std::uint8_t { any, master, replica, sentinel };

constexpr auto enum_names(RedisRole)
{
    return std::array{
        Named{RedisRole::any, "any"},
        Named{RedisRole::master, "master"},
        Named{RedisRole::replica, "replica"},
        Named{RedisRole::sentinel, "sentinel"},
    };
}

// Does a Redis (or Valkey, or Sentinel) server take commands, and has it the role it should have?
struct RedisSpec {
    Address address{};
    std::string username{};
    Secret password{};
    std::optional<TlsOptions> tls{};
    int database = 0;
    RedisRole role = RedisRole::any;

    static constexpr std::string_view kind = "redis";
    static constexpr std::string_view summary = "a Redis server, replica or Sentinel answers PING";
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &RedisSpec::address, "host:port of the server"),
            optional("username", &RedisSpec::username, "ACL user; empty: the default user"),
            optional("password", &RedisSpec::password, "sent with AUTH when it is not empty"),
            optional("tls", &RedisSpec::tls, "speak TLS: true, or a table of options"),
            optional("database", &RedisSpec::database, "number of the database that must be there")
                .between(0, 65'535),
            optional("role", &RedisSpec::role, "role that the server must have, by its own account (ROLE)"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const RedisSpec&) const = default;
};

asio::awaitable<Verdict> probe(const RedisSpec& spec, Progress& progress);

}  // namespace keepwell
