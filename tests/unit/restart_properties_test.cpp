#include <rapidcheck.h>

#include "tests/catch.hpp"

#include "daemon/restart.hpp"

#include <algorithm>
#include <cmath>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

constexpr Clock::time_point begin = Clock::time_point{} + 24h;

Duration seconds(int least, int most) { return Duration{*rc::gen::inRange(least, most + 1) * 1s}; }

double fraction() { return *rc::gen::inRange(0, 1'000'000) / 1e6; }

RestartPolicy random_policy()
{
    RestartPolicy policy{.pending_for = seconds(0, 60), .backoff = seconds(0, 3600)};
    policy.backoff_max = seconds(0, 100'000);
    policy.jitter = fraction();
    policy.max = *rc::gen::inRange(1, 10);
    policy.within = seconds(1, 100'000);
    policy.stable_after = seconds(0, 100'000);
    return policy;
}

Situation random_situation()
{
    const auto chance = [] { return *rc::gen::inRange(0, 12) == 0; };
    return {.unhealthy = !chance(),
            .cascade = chance(),
            .mode = *rc::gen::element(Mode::observe, Mode::signal, Mode::act),
            .maintenance = chance(),
            .paused = chance(),
            .self_doubt = chance(),
            .in_flight = chance(),
            .need_unhealthy = chance(),
            .storm = chance(),
            .unhealthy_since = begin - seconds(0, 100).value,
            .sibling_in_flight = chance(),
            .stack_limit = chance(),
            .gate = *rc::gen::weightedElement<Gate>(
                {{4, Gate::none}, {4, Gate::passed}, {1, Gate::pending}, {1, Gate::failed}})};
}

std::ptrdiff_t used(const RestartRecord& record, const RestartPolicy& policy, Clock::time_point now)
{
    return std::ranges::count_if(record.recent, [&](auto each) { return now - each < policy.within.value; });
}

// Docker's rule once more, but by looking back over the whole life instead of keeping count.
State looking_back(const std::vector<std::pair<int, Outcome>>& life, const Thresholds& thresholds)
{
    int failures = 0;
    bool passed = false;
    for (const auto& [second, outcome] : life) {
        if (outcome == Outcome::not_attempted)
            continue;
        if (outcome == Outcome::ok) {
            passed = true;
            failures = 0;
        } else if (passed || failures >= thresholds.retries || second * 1s >= thresholds.start_period) {
            ++failures;
        }
    }
    if (failures >= thresholds.retries)
        return State::unhealthy;
    return passed ? State::healthy : State::starting;
}

}  // namespace

TEST_CASE("the backoff doubles up to its most, and jitter only adds its share")
{
    const bool kept = rc::check([] {
        const auto policy = random_policy();
        const auto most = static_cast<double>(std::max(policy.backoff, policy.backoff_max).value.count());
        auto expected = static_cast<double>(policy.backoff.value.count());
        RestartRecord record;
        auto now = begin;
        Clock::duration last{};
        for (int i = 0; i < 40; ++i) {
            const auto plain = after_restart(record, policy, now, 0).not_before - now;
            RC_ASSERT(std::abs(static_cast<double>(plain.count()) - expected) <= 1);
            RC_ASSERT(plain >= last);
            record = after_restart(record, policy, now, fraction());
            const auto pause = record.not_before - now;
            RC_ASSERT(pause >= plain);
            RC_ASSERT(static_cast<double>((pause - plain).count()) <=
                      static_cast<double>(plain.count()) * policy.jitter + 1);
            expected = std::min(2 * expected, most);
            last = plain;
            now += pause;
        }
    });
    CHECK(kept);
}

TEST_CASE("nothing holds only when no rule does, and a spent budget always does")
{
    const bool kept = rc::check([] {
        const auto policy = random_policy();
        const auto it = random_situation();
        RestartRecord record{.not_before = begin + seconds(-10, 2).value,
                             .quarantined = *rc::gen::inRange(0, 5) == 0};
        for (int i = *rc::gen::inRange(0, policy.max + 1); i > 0; --i)
            record.recent.push_back(begin - seconds(0, 1000).value);
        std::ranges::sort(record.recent);
        const auto held = hold(it, record, policy, begin);
        const bool spent = used(record, policy, begin) >= policy.max;
        const bool free = (it.unhealthy || it.cascade) && it.mode != Mode::observe && !it.maintenance &&
                          !it.paused && !it.self_doubt && !it.in_flight && !it.need_unhealthy && !it.storm &&
                          !it.sibling_in_flight && !it.stack_limit && it.gate != Gate::pending &&
                          it.gate != Gate::failed && begin >= record.not_before && !spent &&
                          (it.cascade || begin - it.unhealthy_since >= policy.pending_for.value) &&
                          !(record.quarantined && it.unhealthy);
        RC_CLASSIFY(free, "free");
        RC_CLASSIFY(spent, "spent");
        RC_ASSERT((held == Hold::none) == free);
    });
    CHECK(kept);
}

TEST_CASE("whoever wishes for a restart all the time gets no more than the budget, and then quarantine")
{
    const bool kept = rc::check([] {
        auto policy = random_policy();
        policy.pending_for = Duration{};
        RestartRecord record;
        std::vector<Clock::time_point> restarts;
        auto now = begin;
        for (int i = 0; i < 200; ++i) {
            now += seconds(0, 600).value;
            const Situation wish{.unhealthy = true};
            record = settle(std::move(record), policy, true, {}, now);
            const bool before = record.quarantined;
            if (hold(wish, record, policy, now) == Hold::none) {
                RC_ASSERT_FALSE(before);
                record = after_restart(std::move(record), policy, now, fraction());
                restarts.push_back(now);
            } else if (now >= record.not_before) {
                RC_ASSERT(record.quarantined);
            }
            const auto in_window =
                std::ranges::count_if(restarts, [&](auto each) { return now - each < policy.within.value; });
            RC_ASSERT(in_window <= policy.max);
        }
        RC_CLASSIFY(record.quarantined, "quarantined");
        if (record.quarantined) {
            RC_ASSERT_FALSE(settle(record, policy, true, now, now).quarantined);  // health ends it
        }
    });
    CHECK(kept);
}

TEST_CASE("health is what looking back over the whole life says, as Docker counts")
{
    const bool kept = rc::check([] {
        const Thresholds thresholds{.retries = *rc::gen::inRange(1, 5), .start_period = seconds(0, 60).value};
        std::vector<std::pair<int, Outcome>> life;
        Health health;
        int second = 0;
        for (int i = *rc::gen::inRange(0, 60); i > 0; --i) {
            second += *rc::gen::inRange(0, 10);
            const auto outcome = *rc::gen::weightedElement<Outcome>({{3, Outcome::ok},
                                                                     {4, Outcome::no_response},
                                                                     {4, Outcome::rejected},
                                                                     {2, Outcome::not_attempted}});
            life.emplace_back(second, outcome);
            const auto before = health;
            health = observe(health, outcome, second * 1s, thresholds);
            RC_ASSERT(health.state == looking_back(life, thresholds));
            RC_ASSERT((outcome != Outcome::not_attempted || health == before));
        }
    });
    CHECK(kept);
}
