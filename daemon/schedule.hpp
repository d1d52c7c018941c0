#pragma once

#include "daemon/stack.hpp"

#include <algorithm>

namespace keepwell {

// When is a probe due? Pure; every probe keeps a phase of its own on a grid of `interval`, so that the load
// is spread and nothing drifts.

// A loop that is later than this stood still, and what it saw meanwhile says nothing: Monitor::frozen().
inline constexpr Clock::duration freeze_limit = std::chrono::seconds{3};

// A time that much later; the end of time instead of an overflow.
constexpr Clock::time_point later(Clock::time_point time, Clock::duration length)
{
    return length > Clock::duration{} && time > Clock::time_point::max() - length ? Clock::time_point::max()
                                                                                  : time + length;
}

// How long after a start there is a verdict at the latest, if every attempt takes all of its time. A start
// period counts for a year at most, so that nothing overflows.
inline Clock::duration verdict_time(const Timing& timing)
{
    const auto patience = std::min<Clock::duration>(timing.start_period, std::chrono::hours{24 * 365});
    return patience +
           (timing.interval.value + timing.timeout.value) * std::max(timing.retries, timing.successes);
}

// The first attempt after keepwell's own start: number `index` of `count` probes, spread over the interval.
constexpr Clock::time_point first_due(Clock::time_point start, Clock::duration interval, std::size_t index,
                                      std::size_t count)
{
    return start + interval / static_cast<Clock::rep>(count ? count : 1) * static_cast<Clock::rep>(index);
}

// The first attempt after the instance was (re)started: Docker waits for one interval, or, when there is a
// start period, for one start_interval, but not beyond the period's end.
inline Clock::time_point due_after_start(Clock::time_point started_at, const Timing& timing)
{
    if (timing.start_period <= Duration{})
        return started_at + timing.interval.value;
    return started_at + std::min(timing.start_interval.value, timing.start_period.value);
}

// The next attempt after the one that was due at `due` and ended at `ended`. Times that were missed are
// skipped, not made up for. After a failure it comes `retry_interval` later, when that is sooner. `starting`
// means no verdict yet and still within the start period: then attempts are start_interval apart, counted, as
// Docker does, from the end of one to the start of the next.
inline Clock::time_point next_due(Clock::time_point due, Clock::time_point ended, const Timing& timing,
                                  bool starting, bool failed)
{
    const Clock::duration interval = timing.interval;
    auto next = due + interval;
    if (next <= ended)
        next += interval * ((ended - next) / interval + 1);
    if (starting && timing.start_period > Duration{})
        next = ended + timing.start_interval.value;
    if (failed && timing.retry_interval > Duration{})
        next = std::min(next, ended + timing.retry_interval.value);
    return next;
}

}  // namespace keepwell
