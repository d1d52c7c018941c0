#include "tests/catch.hpp"

#include "daemon/schedule.hpp"

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

constexpr Clock::time_point zero{};
auto at(Clock::duration since) { return zero + since; }

}  // namespace

TEST_CASE("first attempts are spread over one interval, the first of them at once")
{
    CHECK(first_due(zero, 10s, 0, 4) == zero);
    CHECK(first_due(zero, 10s, 1, 4) == at(2500ms));
    CHECK(first_due(zero, 10s, 3, 4) == at(7500ms));
    CHECK(first_due(zero, 10s, 0, 0) == zero);
    CHECK(first_due(zero, 1s, 9'999, 10'000) < at(1s));
}

TEST_CASE("after a start: one interval, or one start_interval while there is a start period")
{
    const Timing plain{.interval = 30s};
    const Timing patient{.interval = 30s, .start_period = 60s, .start_interval = 5s};
    const Timing brief{.interval = 30s, .start_period = 2s, .start_interval = 5s};
    CHECK(due_after_start(zero, plain) == at(30s));
    CHECK(due_after_start(zero, patient) == at(5s));
    CHECK(due_after_start(zero, brief) == at(2s));
}

TEST_CASE("the next attempt keeps its place on the grid and never fires in a burst")
{
    const Timing timing{.interval = 10s};
    auto [ended, expected] = GENERATE(table<Clock::duration, Clock::duration>({
        {0s, 10s},
        {4s, 10s},
        {9999ms, 10s},
        {10s, 20s},  // ended when the next was due: that one is skipped
        {11s, 20s},
        {95s, 100s},
        {24h, 24h + 10s},
    }));
    CHECK(next_due(zero, at(ended), timing, false, false) == at(expected));
}

TEST_CASE("while starting within the start period, start_interval counts from the end of the last attempt")
{
    const Timing timing{.interval = 30s, .start_period = 60s, .start_interval = 5s};
    CHECK(next_due(zero, at(2s), timing, true, true) == at(7s));
    CHECK(next_due(zero, at(2s), timing, false, false) == at(30s));
    const Timing without{.interval = 30s, .start_interval = 5s};
    CHECK(next_due(zero, at(2s), without, true, true) == at(30s));
}

TEST_CASE("after a failure the next attempt comes sooner when asked to, never later")
{
    const Timing eager{.interval = 30s, .retry_interval = 2s};
    CHECK(next_due(zero, at(1s), eager, false, true) == at(3s));
    CHECK(next_due(zero, at(1s), eager, false, false) == at(30s));
    const Timing lazy{.interval = 30s, .retry_interval = 90s};
    CHECK(next_due(zero, at(1s), lazy, false, true) == at(30s));
}

TEST_CASE("ten thousand attempts later nothing has drifted")
{
    const Timing timing{.interval = 1s};
    auto due = at(137ms);
    for (int i = 0; i < 10'000; ++i)
        due = next_due(due, due + std::chrono::milliseconds{i % 900}, timing, false, i % 7 == 0);
    CHECK(due == at(137ms + 10'000s));
}
