#pragma once

#include "probes/field.hpp"
#include "probes/result.hpp"

#include <array>

namespace keepwell {

// How an instance (or a service) is. Probes alone make `starting`, `healthy` and `unhealthy`, as Docker does.
enum class State : std::uint8_t {
    starting,  // no verdict yet, or restarted and still in its start period
    healthy,
    unhealthy,
    unknown,      // not verifiable: our own fault, or nothing probes it
    maintenance,  // set by hand: watched, but neither alerted on nor restarted
    paused,       // set from outside (a paused container): not watched
};
inline constexpr std::size_t state_count = 6;

constexpr auto enum_names(State)
{
    using enum State;
    return std::array{Named{starting, "starting"},       Named{healthy, "healthy"},
                      Named{unhealthy, "unhealthy"},     Named{unknown, "unknown"},
                      Named{maintenance, "maintenance"}, Named{paused, "paused"}};
}

// How many like outcomes in a row it takes to change one's mind.
struct Thresholds {
    int retries = 3;    // failures in a row that make unhealthy
    int successes = 1;  // successes in a row that make healthy
    Clock::duration start_period{};
    bool operator==(const Thresholds&) const = default;
};

// What the outcomes of one probe of one instance add up to so far.
struct Health {
    State state = State::starting;  // starting, healthy or unhealthy
    int failing_streak = 0;  // failures in a row; grows without bound while unhealthy, as Docker's does
    int passing_streak = 0;  // successes in a row
    bool operator==(const Health&) const = default;
};

// Docker's rule (moby daemon/health.go, handleProbeResult). One success makes healthy, from any state, unless
// `successes` asks for more. A failure of an attempt that began within `start_period` of the instance's start
// is ignored while the state is `starting`; otherwise `retries` failures in a row make unhealthy.
// `not_attempted` changes nothing. Pure: no clock, no I/O.
constexpr Health observe(Health health, Outcome outcome, Clock::duration since_start,
                         const Thresholds& thresholds)
{
    if (outcome == Outcome::not_attempted)
        return health;
    if (outcome == Outcome::ok) {
        health.failing_streak = 0;
        ++health.passing_streak;
        if (health.passing_streak >= thresholds.successes)
            health.state = State::healthy;
        return health;
    }
    health.passing_streak = 0;
    if (health.state == State::starting && since_start < thresholds.start_period)
        return health;
    ++health.failing_streak;
    if (health.failing_streak >= thresholds.retries)
        health.state = State::unhealthy;
    return health;
}

}  // namespace keepwell
