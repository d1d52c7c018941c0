#pragma once

#include "daemon/monitor.hpp"
#include "tests/sim/world.hpp"

#include <array>
#include <cstdio>

namespace keepwell::sim {

// Hears what keepwell decides, knows the truth, and says where the two must not part. Keeps books of its own:
// it believes nothing that the monitor says of itself.
class Judge : public Sink {
public:
    Judge(const World& world, const Stack& stack);

    void attach(const Monitor& monitor) { monitor_ = &monitor; }
    // Another monitor took over, with the same ids: after a reload knowing all, else only what the state file
    // holds.
    void reattach(const Monitor& monitor, bool with_memory_only, Time now);
    void disturbed(Time now) { last_disturbance_ = now; }  // by hand, or by a fault of our own
    // Why the attempt ends as it does; told right before the monitor hears of it.
    void caused(ProbeId id, Cause cause) { causes_[id] = cause; }
    void gates_answered(InstanceId id, bool passed, Time now);
    void restarted_outside(InstanceId id, Time now);
    void resumed(ServiceId id);
    void maintained(ServiceId id, bool on);
    void minute(Time now);  // what must not last

    std::uint64_t violations() const { return violations_; }
    std::uint64_t checks() const { return checks_; }
    std::uint64_t fingerprint() const { return fingerprint_; }  // of all decisions, in order

    struct Counts {
        std::uint64_t attempts = 0, signals = 0, cascades = 0, actions = 0, succeeded = 0, gates = 0,
                      quarantines = 0, doubts = 0, calm_minutes = 0, ill_minutes = 0;
        std::array<std::uint64_t, hold_count> holds{};
    };
    const Counts& counts() const { return counts_; }

    void attempted(ProbeId, const ProbeResult&, const Health&) override;
    void state_changed(InstanceId, State, State, Time) override;
    void service_changed(ServiceId, State, State, Time) override;
    void signal_raised(InstanceId, const Signal&, Time) override;
    void signal_cleared(InstanceId, const Signal&, Time) override;
    void held(InstanceId, Hold, Hold, const std::string&, Time) override;
    void action_started(InstanceId, const ActionContext&, Time) override;
    void action_finished(InstanceId, const ActionOutcome&, Time) override;
    void doubted(bool, const std::string&, Time) override;

private:
    struct Streak {  // of failures of one probe
        Time since = never;
        bool own = false, dependency = false;
        bool healthy = false;
    };
    struct Book {  // of one instance
        State state = State::starting;
        Hold hold = Hold::healthy;
        bool signal = false;
        bool acting = false;
        bool quarantined = false;
        std::vector<Time> raised{};
        Time live_since = never;
        Time restarted_at = Time::min();
        Time gate_passed_at = Time::min();
        Time born_at = Time::min();
        Time root_restarted_at = Time::min();  // of a dependency over a `restart: true` edge
        bool owed = false;                     // a cascade
        Time held_since{};
        std::chrono::minutes unhealed{};  // of a lasting fault, while nothing outside stood in the way
    };

    void check(bool kept, InstanceId id, Time now, const char* promise);
    void check_cause(InstanceId id, const Signal& signal, Time now);
    void check_limits(InstanceId id, Time now);
    void check_budget(InstanceId id, Time now);
    void check_calm(Time now);
    void check_held(InstanceId id, Time now);
    void check_lasting(InstanceId id, Time now);
    void owe_cascades(InstanceId id, Time now);
    void begin_life(InstanceId id, Time now);
    void live_changed(InstanceId id, Time since, Time now);
    bool needs_are_well(ServiceId id, Time now) const;
    Clock::duration bound(InstanceId id) const;
    void remember(std::uint64_t what, std::uint64_t id, Time now);
    const Service& service_of(InstanceId id) const
    {
        return *stack_.services()[stack_.instances()[id].service].spec;
    }

    const World& world_;
    const Stack& stack_;
    const Monitor* monitor_ = nullptr;
    std::vector<Cause> causes_;
    std::vector<Streak> streaks_;
    std::vector<Book> books_;
    std::vector<State> services_;
    std::vector<bool> maintenance_;
    Time last_disturbance_{};  // maintenance, pause, reload and the like
    std::uint64_t violations_ = 0;
    std::uint64_t checks_ = 0;
    std::uint64_t fingerprint_ = 0;
    Counts counts_;
};

}  // namespace keepwell::sim
