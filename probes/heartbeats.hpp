#pragma once

#include "probes/result.hpp"

#include <boost/asio/execution_context.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace keepwell {

namespace asio = boost::asio;

// When did each name last report in, as far as this loop knows? Lives as long as its loop. Not thread-safe.
class Heartbeats : public asio::execution_context::service {
public:
    using key_type = Heartbeats;
    static inline asio::execution_context::id id{};

    explicit Heartbeats(asio::execution_context& loop) : asio::execution_context::service{loop} {}

    // `name` reports in. The caller has checked that there is such a name, so that strangers cannot fill the
    // memory.
    void beat(const std::string& name, Clock::time_point at);

    // There is a stamp of it somewhere else. To be called after it was asked for.
    void seen(const std::string& name);

    // Has a probe asked for this name, so that beats under it mean something?
    bool expects(const std::string& name) const { return beats_.contains(name); }

    // keepwell stood still until now, and beats may have been lost: everyone gets a whole new limit.
    void resumed(Clock::time_point now);

    // The last beat that was posted; else the time when it was first asked for, and whether a stamp was seen.
    struct Last {
        Clock::time_point at{};
        bool came = false;
    };
    Last last(const std::string& name, Clock::time_point now);

    // A stamp that someone else renews by a clock that may jump (a file's mtime, a number in Redis) is
    // `stamp` nanoseconds after 1970 now, which their clock makes `age` ago. Returns how old it is, corrected
    // by what was seen of it: not younger than our first sight of it, not older than our last look without
    // it. So a jump of the clock makes nobody late who still renews his stamp, and a stamp in the future
    // counts as made when it was first seen.
    Clock::duration age_of(const std::string& what, std::int64_t stamp, Clock::duration age,
                           Clock::time_point now);

private:
    struct Sighting {
        std::int64_t stamp = 0;
        Clock::time_point first{};                   // our first sight of this stamp
        std::optional<Clock::time_point> without{};  // our last look at the one before
        Clock::time_point looked{};
    };

    void shutdown() override {}

    std::map<std::string, Last> beats_{};
    std::map<std::string, Sighting> sightings_{};
};

// Those of this loop.
inline Heartbeats& heartbeats(asio::execution_context& loop) { return asio::use_service<Heartbeats>(loop); }

}  // namespace keepwell
