#pragma once

#include "daemon/action.hpp"
#include "daemon/health.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace keepwell {

// What a restart is done with.
using RestartAction = std::variant<CommandAction, DockerAction>;

// How far keepwell may go.
enum class Mode : std::uint8_t {
    observe,  // nothing but metrics and states
    signal,   // raise signals, publish them, call webhooks; touch nothing
    act,      // restart, too
};
constexpr auto enum_names(Mode)
{
    using enum Mode;
    return std::array{Named{observe, "observe"}, Named{signal, "signal"}, Named{act, "act"}};
}

// When a service's instances are restarted, and how often at most.
struct RestartPolicy {
    std::optional<Mode> mode{};  // the stack's mode when not set
    Duration pending_for{};
    Duration backoff = 10s;
    Duration backoff_max = 5min;
    double jitter = 0.1;
    int max = 5;
    Duration within = 1h;
    Duration stable_after = 10min;
    std::optional<CommandAction> command{};
    std::optional<DockerAction> docker{};

    bool can_act() const { return command || docker; }
    RestartAction action() const;
    Duration action_timeout() const;

    static constexpr auto fields()
    {
        return std::tuple{
            optional("mode", &RestartPolicy::mode, "observe, signal or act; unset: the stack's mode"),
            optional("for", &RestartPolicy::pending_for, "how long it must have been unhealthy"),
            optional("backoff", &RestartPolicy::backoff,
                     "least time between two restarts; doubles with each one in a row")
                .between(0, 86'400'000'000'000),
            optional("backoff_max", &RestartPolicy::backoff_max, "the most it doubles to")
                .between(0, 604'800'000'000'000),
            optional("jitter", &RestartPolicy::jitter, "share of the backoff that is random, 0 to 1"),
            optional("max", &RestartPolicy::max, "restarts allowed `within` a window before quarantine")
                .between(1, 1000),
            optional("within", &RestartPolicy::within, "the window of the budget")
                .between(1'000'000'000, 2'592'000'000'000'000),
            optional("stable_after", &RestartPolicy::stable_after,
                     "healthy for this long forgets backoff and budget"),
            optional("command", &RestartPolicy::command, "the program that restarts an instance (mode act)"),
            optional("docker", &RestartPolicy::docker,
                     "a restart of its container (mode act); `true` takes the defaults"),
        };
    }
    std::vector<std::string> faults()
        const;  // backoff_max < backoff, jitter out of range, act without a command
    bool operator==(const RestartPolicy&) const = default;
};

// Why a restart is not asked for, or not acted on. In the order in which they are checked: the first that
// holds is the one that is shown.
enum class Hold : std::uint8_t {
    none,               // nothing holds: ask for it
    healthy,            // not unhealthy by a liveness probe: there is nothing to restart
    observing,          // mode observe
    maintenance,        // set by hand
    paused,             // set from outside
    self_doubt,         // keepwell was frozen, or everything fails and the self-check does too
    in_flight,          // its restart is under way
    need_unhealthy,     // a service it depends on is not healthy: the root first
    storm,              // most of the stack fails: only roots are restarted
    pending,            // unhealthy for less than `for`
    quarantined,        // budget spent: a person must look
    cooling_down,       // backoff after the last restart
    sibling_in_flight,  // another instance of the service is being restarted or is still starting
    stack_limit,        // as many restarts under way as the stack allows
    gate_pending,       // the gate probes are being asked
    gate_failed,        // a gate probe forbids it, e.g. a broken config test
};
inline constexpr std::size_t hold_count = 16;
constexpr auto enum_names(Hold)
{
    using enum Hold;
    return std::array{Named{none, "none"},
                      Named{healthy, "healthy"},
                      Named{observing, "observing"},
                      Named{maintenance, "maintenance"},
                      Named{paused, "paused"},
                      Named{self_doubt, "self_doubt"},
                      Named{in_flight, "in_flight"},
                      Named{need_unhealthy, "need_unhealthy"},
                      Named{storm, "storm"},
                      Named{pending, "pending"},
                      Named{quarantined, "quarantined"},
                      Named{cooling_down, "cooling_down"},
                      Named{sibling_in_flight, "sibling_in_flight"},
                      Named{stack_limit, "stack_limit"},
                      Named{gate_pending, "gate_pending"},
                      Named{gate_failed, "gate_failed"}};
}
std::string_view words(Hold);

// What is remembered of an instance's restarts; it outlives keepwell itself (daemon/memory.hpp).
struct RestartRecord {
    std::vector<Clock::time_point>
        recent{};      // restarts asked for within the window, oldest first; at most policy.max
    int in_a_row = 0;  // since it was last stable
    Clock::time_point not_before = Clock::time_point::min();
    bool quarantined = false;
    bool operator==(const RestartRecord&) const = default;
};

enum class Gate : std::uint8_t { none, pending, passed, failed };

// Everything the decision depends on. A plain value, so that each rule is one row of a table test.
struct Situation {
    bool unhealthy = false;  // by a liveness probe
    bool cascade = false;    // a `restart: true` dependency was restarted and is healthy again
    Mode mode = Mode::signal;
    bool maintenance = false;
    bool paused = false;
    bool self_doubt = false;
    bool in_flight = false;
    bool need_unhealthy = false;
    bool storm = false;  // most of the stack fails, and this one is no root
    Clock::time_point unhealthy_since{};
    bool sibling_in_flight = false;
    bool stack_limit = false;
    Gate gate = Gate::none;
};
Hold hold(const Situation& situation, const RestartRecord& record, const RestartPolicy& policy,
          Clock::time_point now);

// The record after asking for one more restart at `now`; `random` in [0, 1) spreads the backoff.
RestartRecord after_restart(RestartRecord record, const RestartPolicy& policy, Clock::time_point now,
                            double random);

// The record after all when nothing came of the restart asked for at `at`: the pause stays, the budget is not
// touched, so that an Engine that is away for an hour sends nobody into quarantine.
RestartRecord without_restart(RestartRecord record, Clock::time_point at);

// The record with what has left the window forgotten, quarantine entered when the budget is spent and another
// restart is wanted, and everything forgotten once it has been healthy (since `healthy_since`) for
// stable_after.
RestartRecord settle(RestartRecord record, const RestartPolicy& policy, bool wanted,
                     std::optional<Clock::time_point> healthy_since, Clock::time_point now);

}  // namespace keepwell
