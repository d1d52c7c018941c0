#pragma once

#include "probes/address.hpp"
#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/probe.hpp"
#include "probes/secret.hpp"
#include "probes/tls.hpp"

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// The key `lease` of a configuration: of several keepwells that watch the same stack the one acts that holds
// this key of a Redis server; see docs/decisions/0010-a-lease.md.
struct LeaseSettings {
    Address redis{};
    std::string username{};
    Secret password{};
    std::optional<TlsOptions> tls{};
    int database = 0;
    std::string key = "keepwell:lease";
    Duration ttl = std::chrono::seconds{15};

    static constexpr auto fields()
    {
        return std::tuple{
            required("redis", &LeaseSettings::redis, "host:port of a Redis server that all of them reach"),
            optional("username", &LeaseSettings::username, "ACL user; empty: the default user"),
            optional("password", &LeaseSettings::password, "sent with AUTH when it is not empty"),
            optional("tls", &LeaseSettings::tls, "speak TLS: true, or a table of options"),
            optional("database", &LeaseSettings::database, "number of the database").between(0, 65'535),
            optional("key", &LeaseSettings::key, "where the lease is kept; one for each stack"),
            optional("ttl", &LeaseSettings::ttl,
                     "a holder that is not heard of for so long loses it, and a new one waits as long before "
                     "it acts")
                .between(1'000'000'000, 3'600'000'000'000),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const LeaseSettings&) const = default;
};

enum class LeaseAnswer : std::uint8_t {
    ours,      // taken or prolonged
    anothers,  // somebody else holds it
    none,      // the server could not be asked
};

// May this keepwell act? A pure rule over the answers of the lease's server.
//
// A new holder waits one time to live before it acts, so that the one before has heard of it. While the
// server does not answer nobody can take the lease away, so whoever held it goes on: the server may be the
// very service that needs a restart. Whoever did not ask for longer than the time to live (it was frozen)
// starts anew.
class Lease {
public:
    explicit Lease(Clock::duration ttl) : ttl_{ttl} {}

    // `asked`: when the question was sent.
    void note(LeaseAnswer answer, Clock::time_point asked);
    bool acts(Clock::time_point now) const;

private:
    Clock::duration ttl_;
    std::optional<Clock::time_point> held_since_{};
    Clock::time_point asked_{};
};

}  // namespace keepwell
