#pragma once

#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/heartbeats.hpp"
#include "probes/probe.hpp"

#include <tuple>

namespace keepwell {

// Has a service that listens on no port reported in lately? By POST to keepwell, by touching a file, or by
// writing to a Redis key. Before its first beat it has the whole limit from the time keepwell first asks.
struct HeartbeatSpec {
    Duration max_age{};
    std::string name{};
    std::string file{};

    static constexpr std::string_view kind = "heartbeat";
    static constexpr std::string_view summary =
        "a service with no port reports in: by POST, a file or a Redis key";
    static constexpr auto fields()
    {
        return std::tuple{
            required("max_age", &HeartbeatSpec::max_age, "the last beat may be this old")
                .between(100'000'000, 2'592'000'000'000'000),
            optional("name", &HeartbeatSpec::name,
                     "under which it posts to /api/v1/heartbeat/NAME; empty: the service's"),
            optional("file", &HeartbeatSpec::file, "a local file that it touches, instead of posting"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const HeartbeatSpec&) const = default;
};

asio::awaitable<Verdict> probe(const HeartbeatSpec& spec, Progress& progress);

}  // namespace keepwell
