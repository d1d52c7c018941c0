#pragma once

#include <rapidcheck.h>

#include "daemon/monitor.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace keepwell::test {

using namespace std::chrono_literals;

// What was promised of every restart, checked with books of its own.
class Promises : public Sink {
public:
    const Monitor* monitor = nullptr;
    std::string tape;
    bool holds = true;  // on the tape
    int signals = 0;
    std::map<InstanceId, Clock::time_point> gate_passed;

    explicit Promises(const Stack& stack)
        : stack_{stack},
          states_(stack.instances().size(), State::starting),
          holds_(stack.instances().size(), Hold::healthy),
          signalled_(stack.instances().size()),
          acting_(stack.instances().size()),
          raised_(stack.instances().size()),
          failures_(stack.probes().size()),
          successes_(stack.probes().size()),
          ill_(stack.probes().size()),
          silences_(stack.probes().size()),
          failed_at_(stack.probes().size())
    {
    }

    void attach(const Monitor& watched)
    {
        monitor = &watched;
        for (InstanceId id = 0; id < states_.size(); ++id)
            states_[id] = watched.instance(id).state;
    }
    void thawed(Clock::time_point now) { thawed_at_ = now; }
    void resumed(InstanceId id) { raised_[id].clear(), quarantined_[id] = false; }

    void attempted(ProbeId id, const ProbeResult& result, const Health&) override
    {
        if (result.outcome == Outcome::not_attempted) {
            ++silences_[id];
            return;
        }
        silences_[id] = 0;
        const auto& timing = stack_.probes()[id].spec->timing;
        const bool ok = result.outcome == Outcome::ok;
        const auto instance = stack_.probes()[id].instance;
        const auto valid_since = std::max(monitor->instance(instance).started_at, thawed_at_);
        if (ok && (result.started < valid_since || !monitor->wanted(id)))
            return;  // says nothing about it as it is now
        failures_[id] = ok ? 0 : failures_[id] + 1;
        successes_[id] = ok ? successes_[id] + 1 : 0;
        if (failures_[id] >= timing.retries)
            ill_[id] = true;
        if (successes_[id] >= timing.successes)
            ill_[id] = false;
        if (result.outcome != Outcome::ok)
            failed_at_[id] = std::max(failed_at_[id], result.started);
    }
    void state_changed(InstanceId id, State before, State after, Clock::time_point) override
    {
        RC_ASSERT(states_[id] == before);
        RC_ASSERT(before != after);
        states_[id] = after;
        write(id, name_of(after));
    }
    void held(InstanceId id, Hold before, Hold after, const std::string& detail, Clock::time_point) override
    {
        RC_ASSERT(holds_[id] == before);
        RC_ASSERT(before != after);
        holds_[id] = after;
        quarantined_[id] = after == Hold::quarantined;
        if (!holds)
            return;
        write(id, name_of(after));
        tape += detail + ' ';
    }
    void signal_raised(InstanceId id, const Signal& signal, Clock::time_point now) override
    {
        ++signals;
        signalled_[id] = true;
        write(id, signal.cause);
        check_place(id);
        check_cause(id, signal);
        check_budget(id, now);
        const auto& probes = stack_.instances()[id].spec->probes;
        if (std::ranges::any_of(probes, [](const Probe& probe) { return probe.role == Role::gate; })) {
            RC_ASSERT(gate_passed.contains(id));
            RC_ASSERT(now - gate_passed[id] <= 5s);
            gate_passed.erase(id);
        }
    }
    void signal_cleared(InstanceId id, const Signal&, Clock::time_point) override
    {
        RC_ASSERT(signalled_[id]);
        signalled_[id] = false;
        write(id, "cleared");
    }
    void action_started(InstanceId id, const ActionContext&, Clock::time_point) override
    {
        RC_ASSERT(!acting_[id]);
        RC_ASSERT(stack_.mode_of(stack_.instances()[id].service) == Mode::act);
        acting_[id] = true;
        write(id, "acting");
    }
    void action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point) override
    {
        RC_ASSERT(acting_[id]);
        acting_[id] = false;
        write(id, name_of(outcome.result));
        const auto& row = stack_.instances()[id];
        if (outcome.result == ActionResult::not_started && !raised_[id].empty())
            raised_[id].pop_back();
        if (outcome.result == ActionResult::ok)
            for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
                failures_[each] = successes_[each] = 0, ill_[each] = false;
    }

    // What was told is what is shown, and the sums are right.
    void check_views() const
    {
        for (InstanceId id = 0; id < states_.size(); ++id) {
            const auto& view = monitor->instance(id);
            RC_ASSERT(view.state == states_[id]);
            RC_ASSERT(view.hold == holds_[id]);
            RC_ASSERT(view.signal.has_value() == signalled_[id]);
            RC_ASSERT(!acting_[id] || view.in_flight);
            RC_ASSERT(view.record.recent.size() <= static_cast<std::size_t>(policy_of(id).max));
            RC_ASSERT(std::ranges::is_sorted(view.record.recent));
        }
        for (ServiceId id = 0; id < stack_.services().size(); ++id)
            RC_ASSERT(monitor->service(id).state == expected_state(id));
    }

private:
    const RestartPolicy& policy_of(InstanceId id) const
    {
        return stack_.services()[stack_.instances()[id].service].spec->restart;
    }

    State expected_state(ServiceId id) const
    {
        const auto& row = stack_.services()[id];
        std::array<int, state_count> in{};
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            ++in[static_cast<std::size_t>(states_[each])];
        const auto all = static_cast<int>(row.instance_count);
        const auto count = [&](State state) { return in[static_cast<std::size_t>(state)]; };
        if (count(State::healthy) >= std::min(row.spec->min_healthy, all))
            return State::healthy;
        for (const auto state : {State::unhealthy, State::starting})
            if (count(state) > 0)
                return state;
        for (const auto state : {State::maintenance, State::paused})
            if (count(state) == all)
                return state;
        return State::unknown;
    }

    void check_needs(ServiceId id) const
    {
        const auto& row = stack_.services()[id];
        for (std::size_t i = 0; i < row.needs.size(); ++i) {
            if (row.spec->depends_on[i].condition == Condition::completed)
                continue;
            if (stack_.services()[row.needs[i]].probed)
                RC_ASSERT(monitor->service(row.needs[i]).state == State::healthy);
            else
                check_needs(row.needs[i]);
        }
    }

    void check_place(InstanceId id) const
    {
        const auto service = stack_.instances()[id].service;
        const auto& row = stack_.services()[service];
        const auto& view = monitor->instance(id);
        RC_ASSERT(stack_.mode_of(service) != Mode::observe);
        RC_ASSERT(!monitor->service(service).maintenance);
        RC_ASSERT(view.state != State::paused);
        const auto& probes = stack_.instances()[id].spec->probes;
        const bool probed =
            std::ranges::any_of(probes, [](const Probe& probe) { return probe.role != Role::gate; });
        RC_ASSERT(!probed || view.state != State::unknown);
        RC_ASSERT(view.alive || !quarantined(id));
        check_needs(service);
        const auto begin = acting_.begin() + static_cast<std::ptrdiff_t>(row.first_instance);
        RC_ASSERT(std::count(begin, begin + static_cast<std::ptrdiff_t>(row.instance_count), true) == 0);
        RC_ASSERT(std::ranges::count(acting_, true) < stack_.spec().max_restarts_at_once);
    }

    void check_cause(InstanceId id, const Signal& signal) const
    {
        if (signal.probe.empty()) {
            RC_ASSERT(monitor->instance(id).alive);
            RC_ASSERT(signal.cause.starts_with("dependency "));
            return;
        }
        const auto probe = stack_.find_probe(id, signal.probe);
        RC_ASSERT(probe.has_value());
        const auto& spec = *stack_.probes()[*probe].spec;
        RC_ASSERT(spec.role == Role::liveness);
        RC_ASSERT(ill_[*probe]);
        RC_ASSERT(silences_[*probe] < spec.timing.retries);
        RC_ASSERT(failed_at_[*probe] >= thawed_at_);
    }

    void check_budget(InstanceId id, Clock::time_point now)
    {
        const auto& policy = policy_of(id);
        auto& raised = raised_[id];
        std::erase_if(raised, [&](Clock::time_point each) { return now - each >= policy.within.value; });
        RC_ASSERT(raised.size() < static_cast<std::size_t>(policy.max));
        if (!raised.empty())
            RC_ASSERT(now - raised.back() >= policy.backoff.value);
        raised.push_back(now);
    }

    bool quarantined(InstanceId id) const
    {
        const auto found = quarantined_.find(id);
        return found != quarantined_.end() && found->second;
    }
    void write(InstanceId id, std::string_view what)
    {
        tape += std::to_string(id) + ":" + std::string{what} + " ";
    }

    const Stack& stack_;
    std::vector<State> states_;
    std::vector<Hold> holds_;
    std::vector<bool> signalled_;
    std::vector<bool> acting_;
    std::map<InstanceId, bool> quarantined_;
    std::vector<std::vector<Clock::time_point>> raised_;
    std::vector<int> failures_;  // in a row, of each probe
    std::vector<int> successes_;
    std::vector<bool> ill_;  // by retries failures in a row, and no `successes` in a row since
    std::vector<int> silences_;
    std::vector<Clock::time_point> failed_at_;
    Clock::time_point thawed_at_ = Clock::time_point::min();
};

}  // namespace keepwell::test
