#include "tests/catch.hpp"

#include "daemon/health.hpp"

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

// . ok   x rejected   - no response   ? not attempted
Outcome outcome_of(char letter)
{
    switch (letter) {
        case '.': return Outcome::ok;
        case 'x': return Outcome::rejected;
        case '-': return Outcome::no_response;
        default: return Outcome::not_attempted;
    }
}

// S starting   H healthy   U unhealthy
char letter_of(State state) { return state == State::healthy ? 'H' : state == State::unhealthy ? 'U' : 'S'; }

// One attempt every ten seconds, the first ten seconds after the start, as Docker does.
std::string live(std::string_view outcomes, const Thresholds& thresholds)
{
    std::string states;
    Health health;
    Clock::duration since_start{};
    for (char letter : outcomes) {
        since_start += 10s;
        health = observe(health, outcome_of(letter), since_start, thresholds);
        states += letter_of(health.state);
    }
    return states;
}

}  // namespace

TEST_CASE("a state changes only after enough outcomes in a row, as Docker's does")
{
    auto [outcomes, expected] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {".", "H"},
        {"xxx", "SSU"},
        {"xx.", "SSH"},
        {"x-x", "SSU"},
        {".xx.xx", "HHHHHH"},
        {".x-x", "HHHU"},
        {".xx?x", "HHHHU"},  // our own fault neither counts nor interrupts
        {"xxx.", "SSUH"},    // one success is enough from any state
        {"xxxxx?.xxx", "SSUUUUHHHU"},
        {"???", "SSS"},
        {"xx?.?xxx", "SSSHHHHU"},
    }));
    CAPTURE(outcomes);
    CHECK(live(outcomes, {.retries = 3}) == expected);
}

TEST_CASE("failures within the start period count only after the first success")
{
    // The period is 35 s: attempts at 10, 20 and 30 s are inside, the fourth is not.
    auto [outcomes, expected] = GENERATE(table<std::string, std::string>({
        {"xxxx", "SSSS"},
        {"xxxxx", "SSSSU"},
        {"x.xx", "SHHU"},
        {".xxx", "HHUU"},
        {"xxx.xx", "SSSHHU"},
        {"xxx?xx", "SSSSSU"},
    }));
    CAPTURE(outcomes);
    CHECK(live(outcomes, {.retries = 2, .start_period = 35s}) == expected);
}

TEST_CASE("the start period's end is the first moment at which a failure counts")
{
    const Thresholds thresholds{.retries = 1, .start_period = 10s};
    CHECK(observe({}, Outcome::rejected, 10s - 1ns, thresholds) == Health{});
    CHECK(observe({}, Outcome::rejected, 10s, thresholds).state == State::unhealthy);
}

TEST_CASE("more successes can be asked for, from every state")
{
    auto [outcomes, expected] = GENERATE(table<std::string, std::string>({
        {"..", "SH"},
        {".x..", "SSSH"},
        {"..xx..", "SHHUUH"},
        {".?.", "SSH"},
    }));
    CAPTURE(outcomes);
    CHECK(live(outcomes, {.retries = 2, .successes = 2}) == expected);
}

TEST_CASE("the failing streak keeps growing while unhealthy")
{
    Health health;
    for (int i = 0; i < 100; ++i)
        health = observe(health, Outcome::no_response, 1h, {.retries = 3});
    CHECK(health == Health{.state = State::unhealthy, .failing_streak = 100});
    CHECK(observe(health, Outcome::ok, 1h, {}) == Health{.state = State::healthy, .passing_streak = 1});
}

static_assert(observe({State::healthy, 2, 0}, Outcome::rejected, 1h, {}) == Health{State::unhealthy, 3, 0});
static_assert(observe({State::healthy, 2, 0}, Outcome::not_attempted, 1h, {}) ==
              Health{State::healthy, 2, 0});
