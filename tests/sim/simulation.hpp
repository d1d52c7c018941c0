#pragma once

#include "tests/sim/judge.hpp"

#include <memory>
#include <queue>

namespace keepwell::sim {

// keepwell's daemon in virtual time: the real monitor and the real schedule between a world and its judge.
// Everything that would be I/O is an event.
class Simulation {
public:
    Simulation(std::uint64_t seed, Clock::duration length);
    void run();

    const Judge& judge() const { return judge_; }
    const World& world() const { return world_; }

    struct Counts {
        std::uint64_t freezes = 0, reloads = 0, restarts = 0, self_checks = 0, maintenances = 0, pauses = 0,
                      obeyed = 0, resumed = 0;
    };
    const Counts& counts() const { return counts_; }

private:
    enum class What : std::uint8_t {
        attempt,
        attempt_ends,
        gates_answer,
        action_ends,
        self_check_ends,
        agent_restarts,
        operator_looks,
        freeze,
        reload,
        restart,
        maintenance_begins,
        maintenance_ends,
        pause_begins,
        pause_ends,
        minute,
    };
    struct Event {
        Time at;
        What what;
        std::size_t id = 0;
        std::uint64_t generation = 0;
        bool operator>(const Event& other) const { return at > other.at; }
    };
    struct Attempt {       // of one probe
        Time due = never;  // of the next one
        Time phase{};      // when the running one was due
        bool running = false;
        Time started{};
        Outcome outcome = Outcome::ok;
        Cause cause = Cause::none;
    };
    struct Action {  // of one instance
        bool running = false;
        bool works = true;
        ActionResult result = ActionResult::ok;
    };

    void happen(const Event& event);
    void attempt(ProbeId id);
    Clock::duration judge_truth(ProbeId id, Attempt& attempt);
    void attempt_ends(ProbeId id);
    void consult();
    void apply(const Request& request);
    void plan(ProbeId id, Time due);
    void replan_started();
    void gates_answer(InstanceId id);
    void action_ends(InstanceId id);
    void self_check_ends();
    void listen();
    void agent_restarts(InstanceId id);
    void operator_looks();
    void freeze();
    void reload(bool with_memory_only);
    void maintain(ServiceId id, bool on);
    void after(Clock::duration length, What what, std::size_t id = 0)
    {
        queue_.push({now_ + length, what, id, generation_});
    }
    Time monitor_now();

    Stack stack_;
    World world_;
    Judge judge_;
    Random random_;
    Time now_;
    Time end_;
    std::uint64_t generation_ = 0;  // of the monitor; events of an older one are lost
    std::unique_ptr<Monitor> monitor_;
    std::vector<Attempt> attempts_;
    std::vector<Action> actions_;
    std::vector<int> known_signals_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
    bool self_check_running_ = false;
    Counts counts_;
};

}  // namespace keepwell::sim
