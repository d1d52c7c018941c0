#pragma once

#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/heartbeats.hpp"
#include "probes/probe.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>

namespace keepwell {

// The Redis server in which a heartbeat is kept.
struct HeartbeatServer {
    Address address{};
    std::string username{};
    Secret password{};
    std::optional<TlsOptions> tls{};
    int database = 0;

    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &HeartbeatServer::address, "host:port of the Redis server"),
            optional("username", &HeartbeatServer::username, "ACL user; empty: the default user"),
            optional("password", &HeartbeatServer::password, "sent with AUTH when it is not empty"),
            optional("tls", &HeartbeatServer::tls, "speak TLS: true, or a table of options"),
            optional("database", &HeartbeatServer::database, "number of the database").between(0, 65'535),
        };
    }
    bool operator==(const HeartbeatServer&) const = default;
};

// Has a service that listens on no port reported in lately? By POST to keepwell, by touching a file, or by
// writing to a Redis key: the time (seconds since 1970, or milliseconds), or anything at all in a key that
// expires by itself. Without any beat yet it is not well; its limit is its start period, too, unless another
// is configured: a beat of before its start says nothing. What we cannot read says nothing about it either.
struct HeartbeatSpec {
    Duration max_age{};
    std::string name{};
    std::string file{};
    std::optional<HeartbeatServer> redis{};
    std::string key{};

    static constexpr std::string_view kind = "heartbeat";
    static constexpr std::string_view summary =
        "a service with no port reports in: by POST, a file or a Redis key";
    static constexpr auto fields()
    {
        return std::tuple{
            required("max_age", &HeartbeatSpec::max_age,
                     "the last beat may be this old; the `start_period`, too, unless there is another")
                .between(100'000'000, 2'592'000'000'000'000),
            optional("name", &HeartbeatSpec::name,
                     "under which it posts to /api/v1/heartbeat/NAME; empty: the service's"),
            optional("file", &HeartbeatSpec::file, "a local file that it touches, instead of posting"),
            optional("redis", &HeartbeatSpec::redis, "a Redis server to which it writes, instead of posting"),
            optional("key", &HeartbeatSpec::key,
                     "the key there: it holds the time of the last beat, or is there as long as it is alive"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const HeartbeatSpec&) const = default;
};

// The time in a key's value, in nanoseconds since 1970: it holds seconds or milliseconds, perhaps with a
// fraction. Nothing when it is no number; what lies before 1970 or after 2255 counts as that year.
std::optional<std::int64_t> beat_time(std::string_view text);

asio::awaitable<Verdict> probe(const HeartbeatSpec& spec, Progress& progress);

}  // namespace keepwell
