#pragma once

#include "daemon/monitor.hpp"

#include <array>
#include <string>
#include <vector>

namespace keepwell {

// How a service was in one minute.
struct TrailMinute {
    bool known = false;             // keepwell was watching
    State worst = State::starting;  // of the states that it had
    std::uint16_t attempts = 0;     // at its probes; counts no further than it can
    std::uint16_t failed = 0;       // of them
    std::uint16_t answered = 0;     // of them: ok
    float seconds = 0;              // that these took, all together
    bool operator==(const TrailMinute&) const = default;
};

// Remembers the last hour of every service minute by minute, for the history strips of the page. Some 700
// bytes a service. A reload keeps it, by name.
class Trails : public Sink {
public:
    static constexpr std::size_t minutes = 60;
    using Hour = std::array<TrailMinute, minutes>;  // oldest first

    // The monitor must live until the next attach.
    void attach(const Monitor& monitor, Clock::time_point now);
    Hour of(ServiceId id, Clock::time_point now) const;
    // The running minute's number: strips move on when it changes.
    static std::int64_t minute_of(Clock::time_point at)
    {
        return std::chrono::floor<std::chrono::minutes>(at).time_since_epoch().count();
    }

    void attempted(ProbeId, const ProbeResult&, const Health&) override;
    void service_changed(ServiceId, State, State, Clock::time_point) override;

private:
    struct Trail {
        std::int64_t newest = 0;  // number of the last minute that is in
        State state = State::starting;
        Hour ring{};  // a minute is at its number modulo the size

        TrailMinute& at(std::int64_t minute)
        {
            constexpr auto size = static_cast<std::int64_t>(minutes);
            return ring[static_cast<std::size_t>((minute % size + size) % size)];
        }
        void reach(std::int64_t minute);
    };

    const Monitor* monitor_ = nullptr;
    std::vector<std::string> names_{};
    std::vector<Trail> trails_{};
};

}  // namespace keepwell
