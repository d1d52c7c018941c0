#include "tests/catch.hpp"
#include "tests/unit/promises.hpp"
#include "tests/unit/random_stack.hpp"

#include <memory>

using namespace keepwell;
using namespace keepwell::test;

namespace {

// Plays steps to a monitor. What it asks for is answered by later steps, or never.
class Drive {
public:
    explicit Drive(const StackSpec& spec) : stack_{spec}, promises{stack_}, monitor_{make()} {}

    void play(const std::vector<Step>& steps)
    {
        for (const auto& each : steps) {
            step(each);
            advance();
            pass(each.seconds * 1s);
            promises.check_views();
        }
    }

    void adopt()
    {
        auto before = std::move(monitor_);
        monitor_ = std::make_unique<Monitor>(stack_, std::vector<Sink*>{&promises}, now_, 99);
        monitor_->adopt(*before, now_);
        promises.monitor = monitor_.get();
        advance();
    }

    void pass(Clock::duration length)
    {
        const auto end = now_ + length;
        while (monitor_->wake_at() <= end) {
            now_ = std::max(now_, monitor_->wake_at());
            advance();
        }
        now_ = end;
    }

    const Monitor& monitor() const { return *monitor_; }

private:
    std::unique_ptr<Monitor> make()
    {
        auto made = std::make_unique<Monitor>(stack_, std::vector<Sink*>{&promises}, now_, 7);
        promises.attach(*made);
        return made;
    }

    void advance()
    {
        for (const auto& request : monitor_->advance(now_))
            promises.tape += request.kind == Request::Kind::act ? "act " : "gates ";
    }

    void step(const Step& step)
    {
        const auto services = stack_.services().size();
        const auto instances = stack_.instances().size();
        const auto target = static_cast<std::size_t>(step.target);
        switch (step.kind) {
            case 0: return attempt(target, Outcome::ok, step.detail);
            case 1:
                return attempt(target, step.detail % 2 ? Outcome::rejected : Outcome::no_response,
                               step.detail);
            case 2: return attempt(target, Outcome::not_attempted, step.detail);
            case 3: return answer_gates(target % instances, step.detail < 11);
            case 4:
                return monitor_->action_finished(target % instances,
                                                 {.result = step.detail < 10   ? ActionResult::ok
                                                            : step.detail < 14 ? ActionResult::failed
                                                                               : ActionResult::not_started},
                                                 now_);
            case 5: return monitor_->self_checked({.outcome = Outcome::ok, .started = now_}, now_);
            case 6: return monitor_->self_checked({.outcome = Outcome::no_response, .started = now_}, now_);
            case 7:
                now_ += 10s;
                promises.thawed(now_);
                return monitor_->frozen(10s, now_);
            case 8: return monitor_->maintain(target % services, step.detail % 2 == 0, "", now_);
            case 9: {
                const auto& row = stack_.services()[target % services];
                for (auto id = row.first_instance; id < row.first_instance + row.instance_count; ++id)
                    promises.resumed(id);
                return monitor_->resume(target % services, now_);
            }
            case 10: return monitor_->instance_started(target % instances, now_);
            default: return monitor_->instance_paused(target % instances, step.detail < 3, now_);
        }
    }

    void attempt(std::size_t target, Outcome outcome, int detail)
    {
        if (stack_.probes().empty())
            return;
        const auto id = target % stack_.probes().size();
        if (stack_.probes()[id].spec->role == Role::gate)
            return;
        const auto took = std::chrono::milliseconds{detail * detail * detail};  // up to 3.4 s
        monitor_->observe(id, {.outcome = outcome, .started = now_ - took, .took = took}, now_);
    }

    void answer_gates(InstanceId id, bool passed)
    {
        if (monitor_->instance(id).gate != Gate::pending)
            return;
        if (passed)
            promises.gate_passed[id] = now_;
        monitor_->gates_answered(id, passed, "because", now_);
    }

    Stack stack_;
    Clock::time_point now_ = Clock::time_point{} + 1h;

public:
    Promises promises;

private:
    std::unique_ptr<Monitor> monitor_;
};

}  // namespace

TEST_CASE("whatever happens to whatever stack, every restart keeps its promises")
{
    const bool kept = rc::check([] {
        const auto spec = random_stack(true);
        const auto steps = *random_steps(40);
        Drive drive{spec};
        drive.play(steps);
        RC_CLASSIFY(drive.promises.signals > 0, "signals");
        RC_CLASSIFY(drive.promises.tape.find("dependency") != std::string::npos, "cascades");
        RC_CLASSIFY(drive.promises.tape.find("quarantined") != std::string::npos, "quarantines");
        RC_CLASSIFY(drive.promises.tape.find("storm") != std::string::npos, "storms");
        RC_CLASSIFY(drive.promises.tape.find("stack_limit") != std::string::npos, "stack limits");
        RC_CLASSIFY(drive.promises.tape.find("self_doubt") != std::string::npos, "doubts");
    });
    CHECK(kept);
}

TEST_CASE("nothing that was asked for and never answered blocks for ever")
{
    const bool kept = rc::check([] {
        const auto spec = random_stack(true);
        Drive drive{spec};
        drive.play(*random_steps(40));
        drive.pass(48h);
        for (InstanceId id = 0; id < drive.monitor().stack().instances().size(); ++id)
            RC_ASSERT((!drive.monitor().instance(id).in_flight ||
                       drive.monitor().instance(id).gate == Gate::pending));
    });
    CHECK(kept);
}

TEST_CASE("where nothing ever answers, not even the self-check, nothing is ever asked for")
{
    const bool kept = rc::check([] {
        auto steps = *random_steps(0);
        for (auto& step : steps)
            if (step.kind == 5 || step.kind == 0)
                step.kind = 1;
        Drive drive{random_stack(false)};
        drive.play(steps);
        drive.pass(24h);
        RC_ASSERT(drive.promises.signals == 0);
    });
    CHECK(kept);
}

TEST_CASE("what could not be attempted, in whatever order and number, never asks for a restart")
{
    const bool kept = rc::check([] {
        auto steps = *random_steps(40);
        for (auto& step : steps)
            if (step.kind == 1)
                step.kind = 2;
        Drive drive{random_stack(false)};
        drive.play(steps);
        drive.pass(24h);
        RC_ASSERT(drive.promises.signals == 0);
    });
    CHECK(kept);
}

TEST_CASE("the same life with the same seed takes the same decisions")
{
    const bool kept = rc::check([] {
        const auto spec = random_stack(true);
        const auto steps = *random_steps(40);
        Drive one{spec};
        Drive other{spec};
        one.play(steps);
        other.play(steps);
        RC_ASSERT(one.promises.tape == other.promises.tape);
    });
    CHECK(kept);
}

TEST_CASE("a reload of the same stack in the middle of a life changes nothing")
{
    const bool kept = rc::check([] {
        const auto spec = random_stack(false);  // gates that are being asked are asked again
        const auto before = *random_steps(40);
        const auto after = *random_steps(40);
        Drive calm{spec};
        Drive reloaded{spec};
        calm.promises.holds = reloaded.promises.holds =
            false;  // why not is said anew, and may be said sooner
        calm.play(before);
        reloaded.play(before);
        const auto said = reloaded.promises.tape.size();
        reloaded.adopt();
        RC_ASSERT(reloaded.promises.tape.substr(said) == "");
        calm.play(after);
        reloaded.play(after);
        RC_ASSERT(reloaded.promises.tape == calm.promises.tape);
    });
    CHECK(kept);
}
