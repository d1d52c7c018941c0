#pragma once

#include "daemon/stack.hpp"

namespace keepwell {

// When is a probe due? Pure; every probe keeps a phase of its own on a grid of `interval`, so that the load
// is spread and nothing drifts.

// The first attempt after keepwell's own start: number `index` of `count` probes, spread over the interval.
constexpr Clock::time_point first_due(Clock::time_point start, Clock::duration interval, std::size_t index,
                                      std::size_t count)
{
    return start + interval / static_cast<Clock::rep>(count ? count : 1) * static_cast<Clock::rep>(index);
}

// The first attempt after the instance was (re)started: Docker waits for one interval, or one start_interval
// while there is a start period.
inline Clock::time_point due_after_start(Clock::time_point started_at, const Timing& timing)
{
    return started_at +
           (timing.start_period > Duration{} ? timing.start_interval.value : timing.interval.value);
}

// The next attempt after the one that was due at `due` and ended at `ended`. Times that were missed are
// skipped, not made up for. While starting within the start period, attempts are start_interval apart; after
// a failure retry_interval, when that is sooner.
inline Clock::time_point next_due(Clock::time_point due, Clock::time_point ended, const Timing& timing,
                                  bool starting, bool failed)
{
    const Clock::duration interval = timing.interval;
    auto next = due + interval;
    if (next <= ended)
        next += interval * ((ended - next) / interval + 1);
    if (starting && timing.start_period > Duration{})
        next = std::min(next, ended + timing.start_interval.value);
    if (failed && timing.retry_interval > Duration{})
        next = std::min(next, ended + timing.retry_interval.value);
    return next;
}

}  // namespace keepwell
