#include "tests/catch.hpp"
#include "tests/unit/random_stack.hpp"

#include <algorithm>

using namespace keepwell;
using namespace keepwell::test;

namespace {

// A stack some instances of which have a fault that only restarts heal, and perhaps none does. Everything
// else works: what is asked for is done, and what depends on a service that is down fails with it.
class Patients {
public:
    explicit Patients(const StackSpec& spec)
        : stack_{spec},
          restarts_needed(stack_.instances().size()),
          restarts(stack_.instances().size()),
          monitor{stack_, {}, now_, 1},
          due_(stack_.probes().size(), now_),
          done_at_(stack_.instances().size(), never)
    {
    }

    bool ill(InstanceId id) const { return restarts[id] < restarts_needed[id]; }

    // Whether nothing more is to be expected of it: well, given up on, or waiting for one of those.
    bool settled(InstanceId id) const
    {
        const auto& view = monitor.instance(id);
        return view.state == State::healthy || view.record.quarantined || view.hold == Hold::need_unhealthy;
    }

    // Second by second until all that ever was ill is settled for five minutes; false when that takes too
    // long.
    bool live(const std::vector<InstanceId>& faulty)
    {
        auto settled_since = now_;
        for (const auto end = now_ + 3h; now_ < end; now_ += 1s) {
            attempt();
            act();
            if (!std::ranges::all_of(faulty, [&](InstanceId id) { return settled(id); }))
                settled_since = now_;
            if (now_ - settled_since > 5min)
                return true;
        }
        return false;
    }

private:
    static constexpr auto never = Clock::time_point::max();

    bool down(ServiceId id) const
    {
        const auto& row = stack_.services()[id];
        std::ptrdiff_t well = 0;
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            well += !ill(each) && done_at_[each] == never;
        const auto count = static_cast<std::ptrdiff_t>(row.instance_count);
        return well < std::min<std::ptrdiff_t>(row.spec->min_healthy, count) || suffers(id);
    }

    bool suffers(ServiceId id) const
    {
        const auto& row = stack_.services()[id];
        for (std::size_t i = 0; i < row.needs.size(); ++i)
            if (row.spec->depends_on[i].condition == Condition::healthy && down(row.needs[i]))
                return true;
        return false;
    }

    void attempt()
    {
        for (ProbeId id = 0; id < due_.size(); ++id) {
            if (due_[id] > now_ || !monitor.wanted(id))
                continue;
            const auto& row = stack_.probes()[id];
            due_[id] = now_ + row.spec->timing.interval.value;
            const bool fails = ill(row.instance) || done_at_[row.instance] != never ||
                               suffers(stack_.instances()[row.instance].service);
            monitor.observe(
                id, {.outcome = fails ? Outcome::no_response : Outcome::ok, .started = now_, .took = 1ms},
                now_);
        }
    }

    void act()
    {
        if (monitor.wants_self_check(now_))
            monitor.self_checked({.outcome = Outcome::ok, .started = now_}, now_);
        for (InstanceId id = 0; id < done_at_.size(); ++id) {
            if (done_at_[id] > now_)
                continue;
            done_at_[id] = never;
            ++restarts[id];
            monitor.action_finished(id, {.result = ActionResult::ok}, now_);
        }
        for (const auto& request : monitor.advance(now_)) {
            if (request.kind == Request::Kind::ask_gates)
                monitor.gates_answered(request.instance, true, "", now_);
            else
                done_at_[request.instance] = now_ + 1s;
        }
    }

    Stack stack_;
    Clock::time_point now_ = Clock::time_point{} + 1h;

public:
    std::vector<int> restarts_needed;
    std::vector<int> restarts;
    Monitor monitor;

private:
    std::vector<Clock::time_point> due_;
    std::vector<Clock::time_point> done_at_;
};

StackSpec acting_stack()
{
    auto spec = any_stack(true);
    for (auto& service : spec.services) {
        service.restart.mode = Mode::act;
        service.restart.command = CommandAction{.argv = {"restart"}, .timeout = 30s};
        service.restart.within = service.restart.stable_after = Duration{24h};
    }
    return spec;
}

bool has_liveness(const Stack& stack, InstanceId id)
{
    return std::ranges::any_of(stack.instances()[id].spec->probes,
                               [](const Probe& probe) { return probe.role == Role::liveness; });
}

}  // namespace

TEST_CASE("every lasting fault ends in healing, or in quarantine once the budget is spent")
{
    const bool kept = rc::check([] {
        const Stack stack{*rc::gen::exec(acting_stack)};
        Patients patients{stack.spec()};
        const auto restarts =
            rc::gen::weightedOneOf<int>({{2, rc::gen::just(0)}, {1, rc::gen::inRange(1, 6)}});
        const auto needed = *rc::gen::container<std::vector<int>>(stack.instances().size(), restarts);
        std::vector<InstanceId> faulty;
        for (InstanceId id = 0; id < stack.instances().size(); ++id)
            if (has_liveness(stack, id) && needed[id] > 0) {
                patients.restarts_needed[id] = needed[id];
                faulty.push_back(id);
            }
        const bool in_time = patients.live(faulty);
        for (const auto id : faulty) {
            const auto& view = patients.monitor.instance(id);
            RC_LOG() << stack.instances()[id].spec->name << " needs " << patients.restarts_needed[id]
                     << " restarts, got " << patients.restarts[id] << ", hold " << name_of(view.hold) << " ("
                     << view.hold_detail << "), state " << name_of(view.state) << '\n';
        }
        RC_ASSERT(in_time);
        for (const auto id : faulty) {
            const auto& view = patients.monitor.instance(id);
            const int budget = stack.services()[stack.instances()[id].service].spec->restart.max;
            if (view.hold == Hold::need_unhealthy)
                continue;
            RC_ASSERT(patients.restarts[id] <= budget);
            RC_ASSERT(view.record.quarantined == patients.ill(id));
            RC_ASSERT((patients.ill(id) || view.state == State::healthy));
            if (patients.ill(id))
                RC_ASSERT(patients.restarts[id] == budget);
        }
        RC_CLASSIFY(std::ranges::any_of(faulty, [&](auto id) { return patients.ill(id); }), "quarantines");
        RC_CLASSIFY(std::ranges::any_of(faulty, [&](auto id) { return !patients.ill(id); }), "healings");
    });
    CHECK(kept);
}
