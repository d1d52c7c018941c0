#pragma once

#include "daemon/stack.hpp"
#include "tests/sim/random.hpp"

#include <string>
#include <vector>

namespace keepwell::sim {

using Time = Clock::time_point;
using namespace std::chrono_literals;

inline constexpr Time never = Time::max();

// Ten services as the stacks of this world have them: databases at the bottom, replicas, a proxy with a
// configuration test, workers that must follow a restart, one that only signals and one that is only
// observed.
StackSpec ten_services();

// What an instance truly is, whatever keepwell believes.
struct Body {
    enum class Ill : std::uint8_t { none, crashed, hung, erroring };
    Ill ill = Ill::none;
    bool hopeless = false;    // a restart does not help
    bool bad_config = false;  // its gate says no, and it would not come up
    bool paused = false;
    Time boots_until{};        // started, but does not answer yet
    Time mends_at = never;     // a fault that goes away by itself
    Time flaps_until{};        // comes and goes until then
    Time repaired_at = never;  // a person mends it
    Time bad_since = never;    // not well by its own fault, without a break
};

// Why an attempt ends as it does.
enum class Cause : std::uint8_t { none, own, dependency, overload, ours };

// The truth: bodies, what they need of each other, and what is wrong around them.
class World {
public:
    World(const Stack& stack, std::uint64_t seed);

    // --- what happens to it ---
    Time next_event() const { return next_event_; }
    void happen(Time now);                        // everything that is due
    void start_process(InstanceId id, Time now);  // a restart: it may come up, after a while
    void stop_process(InstanceId id, Time now);
    void pause(InstanceId id, bool paused, Time now);
    void repair(InstanceId id, Time now);

    // --- what it is ---
    const Body& body(InstanceId id) const { return bodies_[id]; }
    bool own_well(InstanceId id, Time now) const;
    bool answers(InstanceId id, Time now) const;
    bool serves(ServiceId id) const { return serving_[id].on; }
    Time silent_since(ServiceId id) const { return serving_[id].on ? never : serving_[id].since; }
    bool gate_passes(InstanceId id) const { return !bodies_[id].bad_config; }
    // Is anything wrong around the stack, and since when is it not any more?
    bool offline(Time now) const { return now < offline_until_; }
    bool exhausted(Time now) const { return now < exhausted_until_; }
    bool overloaded(Time now) const { return now < overloaded_until_; }
    Time calm_since() const;                         // the end of the last trouble around it; may lie ahead
    Time well_since() const { return well_since_; }  // all bodies; never: not now

    struct Counts {
        std::uint64_t crashes = 0, hangs = 0, errors = 0, flaps = 0, blips = 0, hopeless = 0, bad_configs = 0,
                      stuck = 0, outages = 0, overloads = 0, exhaustions = 0, repairs = 0;
    };
    const Counts& counts() const { return counts_; }
    Random& random() { return random_; }

private:
    struct Serving {
        bool on = true;
        Time since{};
    };

    void fall_ill(InstanceId id, Time now);
    void trouble_around(Time now);
    void change_by_time(InstanceId id, Time now);
    void settle(Time now);
    void shake(ServiceId root, Time now);
    bool needs_serve(ServiceId id) const;

    const Stack& stack_;
    Random random_;
    std::vector<Body> bodies_;
    std::vector<Serving> serving_;
    Time next_event_{};
    Time next_fault_{};
    Time next_trouble_{};
    Time offline_until_{}, exhausted_until_{}, overloaded_until_{};
    Time well_since_{};
    Counts counts_;
};

}  // namespace keepwell::sim
