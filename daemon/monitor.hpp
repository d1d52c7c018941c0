#pragma once

#include "daemon/event.hpp"

#include <deque>
#include <random>

namespace keepwell {

// What is known of one probe of one instance.
struct ProbeView {
    Health health{};
    ProbeResult last{};  // of the last attempt; started == {} before the first
};

// What is known of one instance.
struct InstanceView {
    State state = State::starting;
    Clock::time_point since{};            // of the state
    Clock::time_point started_at{};       // of the instance, as far as we know
    bool alive = true;                    // no liveness probe says unhealthy
    Clock::time_point unhealthy_since{};  // by a liveness probe; meaningful while !alive
    Hold hold = Hold::healthy;
    std::string hold_detail{};  // which dependency, which gate, until when
    std::optional<Signal> signal{};
    RestartRecord record{};
    Gate gate = Gate::none;
    std::string gate_detail{};
    bool in_flight = false;  // gates asked or an action under way
    bool cascade = false;    // owed a restart because a `restart: true` dependency was restarted
    std::string cascade_from{};
    std::optional<ActionOutcome> last_action{};
    Clock::time_point last_action_at{};
    bool started_once = false;  // all startup probes have passed since started_at
};

struct ServiceView {
    State state = State::starting;
    Clock::time_point since{};
    bool maintenance = false;
    std::string maintenance_note{};
    std::optional<ServiceId>
        root_cause{};  // the deepest dependency that is not healthy, while this one is unhealthy
};

// What the monitor asks the acting half for.
struct Request {
    enum class Kind : std::uint8_t { ask_gates, act } kind = Kind::act;
    InstanceId instance = 0;
    ActionContext context{};
};

// Owns what is known of all instances, and is the only one to change it. Pure but for its sinks: the time is
// passed in, nothing is waited for; the same inputs and seed give the same decisions. Not thread-safe: lives
// on the loop.
class Monitor {
public:
    Monitor(Stack stack, std::vector<Sink*> sinks, Clock::time_point now, std::uint64_t seed);

    // --- what happens ---
    void observe(ProbeId, const ProbeResult&, Clock::time_point now);
    void gates_answered(InstanceId, bool passed, const std::string& detail, Clock::time_point now);
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point now);
    void self_checked(const ProbeResult&, Clock::time_point now);
    void frozen(Clock::duration late, Clock::time_point now);  // the loop stood still for so long, until now
    void maintain(ServiceId, bool on, const std::string& note, Clock::time_point now);
    void resume(ServiceId, Clock::time_point now);  // ends maintenance and quarantine, forgets the budget
    // An instance was started or paused from outside (Docker events).
    void instance_started(InstanceId, Clock::time_point now);
    void instance_paused(InstanceId, bool paused, Clock::time_point now);

    // Applies the rules that depend on time or on others; returns what is to be done. Call it soon after the
    // above and at wake_at() at the latest. Cheap when nothing has changed.
    std::vector<Request> advance(Clock::time_point now);
    Clock::time_point wake_at() const;  // max() when only new results can change anything

    // --- what is known ---
    const Stack& stack() const { return stack_; }
    const ServiceView& service(ServiceId id) const { return services_[id]; }
    const InstanceView& instance(InstanceId id) const { return instances_[id]; }
    const ProbeView& probe(ProbeId id) const { return probes_[id]; }
    bool in_doubt() const { return doubt_; }
    const std::string& doubt_reason() const { return doubt_reason_; }
    State stack_state() const;  // healthy when every probed service is healthy (or in maintenance)
    // Is this probe to be attempted now? Startup probes hold the others back; gates are asked only before a
    // restart.
    bool wanted(ProbeId) const;

    // Records and maintenance from a state file or from the monitor before a reload, by name; unknown names
    // are ignored.
    void restore(ServiceId, bool maintenance, const std::string& note);
    void restore(InstanceId, const RestartRecord&);
    void adopt(const Monitor& before,
               Clock::time_point now);  // keeps everything of services that did not change

private:
    Stack stack_;
    std::vector<Sink*> sinks_;
    std::vector<ServiceView> services_;
    std::vector<InstanceView> instances_;
    std::vector<ProbeView> probes_;
    std::mt19937_64 random_;
    bool doubt_ = false;
    std::string doubt_reason_{};
};

}  // namespace keepwell
