#include "tests/catch.hpp"

#include "daemon/restart.hpp"

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

constexpr Clock::time_point zero{};
constexpr Clock::time_point now = zero + 24h;

const RestartPolicy policy{
    .pending_for = 30s, .backoff = 10s, .backoff_max = 60s, .jitter = 0, .max = 3, .within = 1h};

Situation unhealthy() { return {.unhealthy = true, .unhealthy_since = now - 1min}; }
Situation with(void (*change)(Situation&))
{
    auto situation = unhealthy();
    change(situation);
    return situation;
}

RestartRecord spent() { return {.recent = {now - 30min, now - 20min, now - 10min}, .in_a_row = 3}; }

}  // namespace

TEST_CASE("each rule that holds a restart back, alone")
{
    auto [situation, expected] = GENERATE(table<Situation, Hold>({
        {unhealthy(), Hold::none},
        {Situation{}, Hold::healthy},
        {with([](auto& s) { s.mode = Mode::observe; }), Hold::observing},
        {with([](auto& s) { s.maintenance = true; }), Hold::maintenance},
        {with([](auto& s) { s.paused = true; }), Hold::paused},
        {with([](auto& s) { s.self_doubt = true; }), Hold::self_doubt},
        {with([](auto& s) { s.in_flight = true; }), Hold::in_flight},
        {with([](auto& s) { s.need_unhealthy = true; }), Hold::need_unhealthy},
        {with([](auto& s) { s.storm = true; }), Hold::storm},
        {with([](auto& s) { s.unhealthy_since = now - 29s; }), Hold::pending},
        {with([](auto& s) { s.unhealthy_since = now - 30s; }), Hold::none},
        {with([](auto& s) { s.sibling_in_flight = true; }), Hold::sibling_in_flight},
        {with([](auto& s) { s.stack_limit = true; }), Hold::stack_limit},
        {with([](auto& s) { s.gate = Gate::pending; }), Hold::gate_pending},
        {with([](auto& s) { s.gate = Gate::failed; }), Hold::gate_failed},
        {with([](auto& s) { s.gate = Gate::passed; }), Hold::none},
    }));
    CAPTURE(name_of(expected));
    CHECK(hold(situation, {}, policy, now) == expected);
}

TEST_CASE("of several rules that hold, the first in the list is shown")
{
    // Everything holds at once; then the reasons go away one by one, in the order of the enumeration.
    Situation all{.unhealthy = true,
                  .mode = Mode::observe,
                  .maintenance = true,
                  .paused = true,
                  .self_doubt = true,
                  .in_flight = true,
                  .need_unhealthy = true,
                  .storm = true,
                  .unhealthy_since = now,
                  .sibling_in_flight = true,
                  .stack_limit = true,
                  .gate = Gate::pending};
    RestartRecord record = spent();
    record.not_before = now + 5s;
    record.quarantined = true;
    std::string seen;
    auto next = [&] { seen += std::string{name_of(hold(all, record, policy, now))} + " "; };
    next(), all.mode = Mode::act;
    next(), all.maintenance = false;
    next(), all.paused = false;
    next(), all.self_doubt = false;
    next(), all.in_flight = false;
    next(), all.need_unhealthy = false;
    next(), all.storm = false;
    next(), all.unhealthy_since = zero;
    next(), record.quarantined = false;
    next(), record = {};
    next(), all.sibling_in_flight = false;
    next(), all.stack_limit = false;
    next(), all.gate = Gate::failed;
    next(), all.gate = Gate::none;
    next();
    CHECK(seen ==
          "observing maintenance paused self_doubt in_flight need_unhealthy storm pending quarantined "
          "cooling_down "
          "sibling_in_flight stack_limit gate_pending gate_failed none ");
}

TEST_CASE("an owed cascade needs no ill health and no patience, but respects every other hold")
{
    Situation cascade{.cascade = true, .unhealthy_since = now};
    CHECK(hold(cascade, {}, policy, now) == Hold::none);
    cascade.need_unhealthy = true;
    CHECK(hold(cascade, {}, policy, now) == Hold::need_unhealthy);
    cascade.need_unhealthy = false;
    CHECK(hold(cascade, {.not_before = now + 1ns}, policy, now) == Hold::cooling_down);
    // A healthy instance is not quarantined for what its dependencies do: it waits for room in the budget.
    CHECK(hold(cascade, spent(), policy, now) == Hold::cooling_down);
    CHECK(hold(cascade, spent(), policy, now + 31min) == Hold::none);
}

TEST_CASE("a spent budget quarantines at the next wish, not before the last restart had its chance")
{
    auto record = spent();
    record.not_before = now + 40s;
    CHECK(hold(unhealthy(), record, policy, now) == Hold::cooling_down);
    CHECK_FALSE(settle(record, policy, true, {}, now).quarantined);
    CHECK(hold(unhealthy(), record, policy, now + 40s) == Hold::quarantined);
    CHECK_FALSE(settle(record, policy, false, {}, now + 40s).quarantined);
    CHECK(settle(record, policy, true, {}, now + 40s).quarantined);
}

TEST_CASE("quarantine outlasts the window, and ends by health")
{
    auto record = spent();
    record.quarantined = true;
    record = settle(record, policy, true, {}, now + 100h);
    CHECK(record.recent.empty());
    CHECK(hold(unhealthy(), record, policy, now + 100h) == Hold::quarantined);
    record = settle(record, policy, false, now + 100h, now + 100h);
    CHECK_FALSE(record.quarantined);
}

TEST_CASE("health ends quarantine at once, but the budget is forgotten only after stable_after")
{
    auto record = spent();
    record.quarantined = true;
    const auto healthy_since = now;
    auto soon = settle(record, policy, false, healthy_since, now + policy.stable_after.value - 1ns);
    CHECK_FALSE(soon.quarantined);
    CHECK(soon.recent.size() == 3);
    CHECK(hold(unhealthy(), soon, policy, now) == Hold::quarantined);
    CHECK(settle(record, policy, false, healthy_since, now + policy.stable_after.value) == RestartRecord{});
}

TEST_CASE("the first restart comes at once; then the pause doubles up to its ceiling")
{
    RestartRecord record;
    auto time = now;
    std::string pauses;
    for (int i = 0; i < 6; ++i) {
        record = after_restart(record, policy, time, 0.5);
        pauses += Duration{record.not_before - time}.text() + " ";
        time = record.not_before;
    }
    CHECK(pauses == "10s 20s 40s 1m 1m 1m ");
    CHECK(record.in_a_row == 6);
    CHECK(record.recent.size() == 3);  // never more than `max` are remembered
    CHECK(std::ranges::is_sorted(record.recent));
}

TEST_CASE("jitter only ever lengthens the pause, by at most its share")
{
    auto random = GENERATE(0.0, 0.25, 0.5, 0.999);
    auto jittery = policy;
    jittery.jitter = 0.2;
    const auto pause = after_restart({}, jittery, now, random).not_before - now;
    CHECK(pause >= 10s);
    CHECK(pause < 12s);
    CHECK(std::chrono::abs(pause - 10s - std::chrono::milliseconds{static_cast<int>(2000 * random)}) <= 1ms);
}

TEST_CASE("restarts that have left the window are forgotten")
{
    RestartRecord record{.recent = {now - 2h, now - 1h, now - 59min}};
    CHECK(settle(record, policy, true, {}, now).recent == std::vector{now - 59min});
    CHECK(after_restart(record, policy, now, 0).recent == std::vector{now - 59min, now});
}

TEST_CASE("extreme policies neither overflow nor divide by nothing")
{
    RestartPolicy absurd{.backoff = 24h,
                         .backoff_max = 168h,
                         .jitter = 1,
                         .max = 1000,
                         .within = 720h,
                         .stable_after = std::chrono::hours{24 * 365 * 200}};
    RestartRecord record;
    for (int i = 0; i < 2000; ++i)
        record = after_restart(record, absurd, now, 0.999);
    CHECK(record.not_before - now <= 336h);
    CHECK(record.recent.size() == 1000);
    CHECK(settle(record, absurd, true, zero, now) == record);

    RestartPolicy none{.backoff = 0s, .backoff_max = 0s};
    CHECK(after_restart({.in_a_row = 2'000'000}, none, now, 0.9).not_before == now);
}

TEST_CASE("what a policy cannot mean is said in words")
{
    CHECK(RestartPolicy{}.faults().empty());
    CHECK(RestartPolicy{.backoff = 10min, .backoff_max = 5min}.faults() ==
          std::vector<std::string>{"backoff_max (5m) is less than backoff (10m)"});
    CHECK(RestartPolicy{.jitter = 1.5}.faults().size() == 1);
    CHECK(RestartPolicy{.jitter = std::numeric_limits<double>::quiet_NaN()}.faults().size() == 1);
    CHECK(RestartPolicy{.mode = Mode::act}.faults() ==
          std::vector<std::string>{"mode act needs something to restart with: a command, or docker"});
    CHECK(RestartPolicy{.mode = Mode::act, .command = CommandAction{.argv = {"true"}}}.faults().empty());
}

TEST_CASE("every hold has words of its own")
{
    std::vector<std::string_view> all;
    for (const auto& [value, name] : enum_names(Hold{}))
        all.push_back(words(value));
    std::ranges::sort(all);
    CHECK(all.size() == hold_count);
    CHECK(std::ranges::adjacent_find(all) == all.end());
}
