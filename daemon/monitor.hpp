#pragma once

#include "daemon/departed.hpp"
#include "daemon/event.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

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
    Signal last_action_signal{};  // what it answered
    bool started_once = false;    // all startup probes have passed since started_at

    // The last action has failed half-way: what is stopped now was stopped by nobody else.
    bool left_by_us() const
    {
        return last_action && last_action->result != ActionResult::ok &&
               last_action->result != ActionResult::not_started;
    }
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
// passed in, nothing is waited for; the same inputs and seed give the same decisions. A time before the last
// one counts as the last one. Not thread-safe: lives on the loop.
class Monitor {
public:
    Monitor(Stack stack, std::vector<Sink*> sinks, Clock::time_point now, std::uint64_t seed);

    // --- what happens ---
    // Only attempts that say something about the instance as it is now count: begun after its last start, not
    // overlapping a freeze of ours, and of a probe that is wanted(). All others are shown, no more.
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
    // above and at wake_at() at the latest. Costs nothing when nothing has changed.
    std::vector<Request> advance(Clock::time_point now);
    Clock::time_point wake_at() const;  // max() when only new results can change anything
    // Whether advance() or wants_self_check() may say something new. Most results are no news.
    bool has_news() const
    {
        return !dirty_.empty() || !started_.empty() || !waiting_for_proof_.empty() || blind_ ||
               everything_fails();
    }
    // Whose started_at has changed since this was last asked; some perhaps twice.
    std::vector<InstanceId> take_started() { return std::exchange(started_, {}); }

    // Nothing that is watched answers, or a restart waits for proof that our own eyes work: run the
    // self-check (again) and report to self_checked(). Without it nothing is restarted then.
    bool wants_self_check(Clock::time_point now) const;

    // --- what is known ---
    const Stack& stack() const { return stack_; }
    const ServiceView& service(ServiceId id) const { return services_[id]; }
    const InstanceView& instance(InstanceId id) const { return instances_[id]; }
    const ProbeView& probe(ProbeId id) const { return probes_[id]; }
    bool in_doubt() const { return doubt_ != Doubt::none; }
    const std::string& doubt_reason() const { return doubt_reason_; }
    State stack_state() const;  // healthy when every probed service is healthy (or in maintenance)
    // Is this probe to be attempted now? Startup probes hold the others back until they have passed, or have
    // failed for good; gates are asked only before a restart.
    bool wanted(ProbeId) const;

    // Records and maintenance from a state file, and those of what is not there now.
    void restore(ServiceId, bool maintenance, const std::string& note);
    void restore(InstanceId, const RestartRecord&);
    void restore(const Departed::Key&, const Departed::Entry&);
    RestartRecord record_to_keep(InstanceId) const;  // for a state file
    const Departed& departed() const { return departed_; }
    // A reload: keeps everything of services that did not change; of the others maintenance, and by name the
    // records of instances and the health of probes, which those have again that come back within a day.
    // Tells no sink: ids have changed, so they read anew.
    void adopt(const Monitor& before, Clock::time_point now);

private:
    enum class Doubt : std::uint8_t { none, frozen, blind };

    // What the rules need to know beyond the views.
    struct ProbeNotes {
        Clock::time_point counted = Clock::time_point::min();  // begin of the last attempt that counted
        Clock::time_point last_ok = Clock::time_point::min();  // begin of the last one that was ok
        Clock::time_point silent_since{};                      // first of the not_attempted in a row
        Clock::time_point silent_until{};                      // last of them
        int not_attempted = 0;                                 // in a row
        bool failing = false;                                  // the last one that counted failed
        bool passing = false;                                  // the last one that counted was ok
    };
    struct InstanceNotes {
        bool probed = false;  // by more than gates
        bool paused = false;
        bool failing = false;         // a probe's last outcome was a failure
        bool well = false;            // none's was, and one's was ok
        bool live = false;            // its liveness probes (or, without any, all) say healthy
        bool stale = false;           // not seen since a freeze of ours
        bool verified = true;         // a liveness probe that says unhealthy is still being attempted
        bool serving = false;         // healthy and not failing
        bool queued = false;          // in dirty_
        bool waiting = false;         // in waiting_for_proof_
        bool unproven = false;        // in unproven_
        bool confirmed = false;       // a liveness attempt begun at proof_at or later failed
        bool slot = false;            // counted in slots
        bool acting = false;          // an action is under way
        bool dipped = false;          // was not live since its signal was raised
        bool cascade_signal = false;  // its signal is a cascade's
        bool owes = false;            // was restarted; its dependants over `restart: true` edges must follow
        Clock::time_point failing_since{};  // end of the first failed attempt since it was last well
        Clock::time_point proof_at =
            Clock::time_point::max();  // first proof of our eyes since it began to fail
        Clock::time_point live_since{};
        Clock::time_point born_at = Clock::time_point::min();       // last real (re)start we know of
        Clock::time_point restarted_at = Clock::time_point::min();  // the restart that `owes` is about
        Clock::time_point raised_at{};
        Signal acting_on{};             // while acting
        Clock::time_point deadline{};   // of the gates' answers or the action's report
        Clock::time_point gate_time{};  // of the answer, or, after a failure, when to ask again
        Clock::time_point slot_until = Clock::time_point::min();
        Clock::time_point wake = Clock::time_point::max();
        std::optional<std::size_t> place{};  // in attention_
    };
    struct ServiceNotes {
        std::array<std::size_t, state_count> states{};  // instances in each state
        std::size_t serving = 0;
        std::size_t slots = 0;
        bool was_down = true;                                        // since it was last healthy
        bool awaited = false;                                        // a dependant waits for its next ok
        Clock::time_point seen = Clock::time_point::min();           // begin of the last attempt that was ok
        Clock::time_point trouble_since = Clock::time_point::min();  // last seen well before it was down
    };
    struct Timer {
        Clock::time_point at{};
        InstanceId instance = 0;
        bool operator>(const Timer& other) const { return at > other.at; }
    };

    // What an instance's probes say together.
    struct Findings {
        bool probed = false;  // by more than gates
        bool started = true;  // all startup probes have passed
        bool failing = false;
        bool passing = false;
        bool stale = false;
        bool unhealthy = false;   // says a probe that is still being attempted
        bool unverified = false;  // a probe that has a say is not being attempted any more
        bool pending = false;     // a probe has no verdict yet
        bool alive = true;
        bool verified = true;  // a liveness probe that says unhealthy is still being attempted
        bool live = true;
    };

    // monitor.cpp: what happens
    Clock::time_point tick(Clock::time_point now);
    bool counts(ProbeId, const ProbeResult&) const;
    void take(ProbeId, const ProbeResult&, Clock::time_point now);
    void proven(Clock::time_point eyes_worked_at);
    void need_proof(InstanceId);
    void see_again(Clock::time_point now);
    void finish_action(InstanceId, const ActionOutcome&, Clock::time_point now);
    void recount();
    void adopt(InstanceId, const Monitor& before, InstanceId old);
    void miss(const Monitor& before, Clock::time_point now);
    void welcome_service(ServiceId);
    void welcome(InstanceId);

    // monitor_states.cpp: what it adds up to
    Findings examine(InstanceId) const;
    bool unverified(ProbeId) const;
    State judge(InstanceId, const Findings&) const;
    State judge(ServiceId, const ServiceNotes&) const;
    void refresh(InstanceId, Clock::time_point now);
    void refresh_all(Clock::time_point now);
    void refresh_service(ServiceId, Clock::time_point now);
    void refresh_storm();
    void refresh_doubt(Clock::time_point now);
    void refresh_root_causes(ServiceId);
    void note_failing(InstanceId, bool failing, bool well, Clock::time_point now);
    void note_serving(InstanceId);
    std::size_t needed(ServiceId) const;
    bool everything_fails() const { return failing_ > 0 && well_ == 0; }
    Clock::time_point last_seen_well(InstanceId) const;
    void begin_afresh(InstanceId, Clock::time_point now);
    void begin_life(InstanceId, Clock::time_point now);
    void recovered(ServiceId, Clock::time_point now);
    void relieve(InstanceId, Clock::time_point since, Clock::time_point now);

    // monitor_restarts.cpp: what follows
    void decide(InstanceId, Clock::time_point now);
    void expire(InstanceId, Clock::time_point now);
    Situation situation_of(InstanceId);
    void wait_for_proof(InstanceId);
    Hold proceed(InstanceId, Clock::time_point now);
    void ask_gates(InstanceId, Clock::time_point now);
    void raise(InstanceId, Clock::time_point now);
    void settle_signal(InstanceId, Clock::time_point now);
    void pass_on_restart(ServiceId);
    bool owes_dependants(InstanceId) const;
    void owe_restart(ServiceId dependant, ServiceId need, Clock::time_point restarted_at);
    void keep_slot(InstanceId, Clock::time_point now);
    void show_hold(InstanceId, Hold, Clock::time_point now);
    void set_timer(InstanceId, Clock::time_point now);
    ActionContext context_of(InstanceId) const;

    // monitor_holds.cpp: what holds it back, and whom news concern
    std::optional<std::string> blocker(ServiceId, Clock::time_point failing_since,
                                       std::vector<ServiceId>& seen);
    bool watched(ServiceId) const;
    std::optional<ServiceId> root_of(ServiceId) const;
    std::optional<ServiceId> treatable_root(ServiceId) const;
    bool given_up(ServiceId) const;
    static bool is_given_up(Hold hold)
    {
        return hold == Hold::quarantined || hold == Hold::gate_failed || hold == Hold::observing;
    }
    bool blind(InstanceId) const;
    bool acts(ServiceId id) const
    {
        return stack_.mode_of(id) == Mode::act && stack_.services()[id].spec->restart.can_act();
    }
    // Well without a break, and not asked to restart: what was well all along (nothing probes it, or nobody
    // has obeyed yet) has not become stable by that.
    Clock::time_point stable_since(InstanceId id) const
    {
        return std::max(instance_notes_[id].live_since, instance_notes_[id].raised_at);
    }
    std::string explain(InstanceId, Hold);
    std::string explain_doubt(InstanceId) const;
    Clock::duration starting_time(InstanceId) const;
    Clock::duration gate_interval(InstanceId) const;
    bool has_gates(InstanceId) const;
    static std::string rounded(Clock::duration);
    void mark(InstanceId);
    void mark_attentive();
    void mark_service(ServiceId);
    void mark_dependants(ServiceId);
    void set_attentive(InstanceId, bool attentive);

    const RestartPolicy& policy_of(InstanceId id) const
    {
        return stack_.services()[stack_.instances()[id].service].spec->restart;
    }

    Stack stack_;
    Departed departed_{};
    std::vector<Sink*> sinks_;
    std::vector<ServiceView> services_;
    std::vector<InstanceView> instances_;
    std::vector<ProbeView> probes_;
    std::vector<ServiceNotes> service_notes_;
    std::vector<InstanceNotes> instance_notes_;
    std::vector<ProbeNotes> probe_notes_;
    std::mt19937_64 random_;
    Clock::time_point latest_;

    std::array<std::size_t, state_count> service_states_{};  // probed services in each state
    std::size_t probed_services_ = 0;
    std::size_t failing_ = 0;  // instances
    std::size_t well_ = 0;
    std::size_t stale_ = 0;
    std::size_t slots_ = 0;
    bool storm_ = false;

    Doubt doubt_ = Doubt::none;
    std::string doubt_reason_{};
    std::string freeze_reason_{};
    std::string blind_reason_{};
    bool blind_ = false;
    Clock::time_point thawed_at_ = Clock::time_point::min();
    Clock::time_point eyes_worked_at_ = Clock::time_point::min();  // begin of the last attempt that proves it
    Clock::time_point self_checked_at_ = Clock::time_point::min();
    Clock::time_point all_failing_since_{};
    Clock::time_point proof_since_{};  // what those in waiting_for_proof_ need proof since

    std::vector<InstanceId> dirty_;              // to be decided upon
    std::vector<InstanceId> batch_;              // being decided upon
    std::vector<InstanceId> attention_;          // restart wanted, for whatever reason held back
    std::vector<InstanceId> unproven_;           // failing, and no proof of our eyes since
    std::vector<InstanceId> waiting_for_proof_;  // restart wanted, and held back for that
    std::vector<Timer> timers_;  // a heap, soonest first; stale when it is not its instance's wake
    std::vector<Request> requests_;
    std::vector<InstanceId> started_;
};

}  // namespace keepwell
