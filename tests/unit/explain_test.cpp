#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "daemon/explain.hpp"

using namespace keepwell;
using namespace keepwell::test;

TEST_CASE("the slowest detection follows from the schedule")
{
    // interval, timeout, retries, retry_interval -> refused, hang
    auto [interval, timeout, retries, retry, refused,
          hang] = GENERATE(table<Duration, Duration, int, Duration, Clock::duration, Clock::duration>({
        {10s, 5s, 3, 0s, 30s, 35s},
        {30s, 30s, 3, 0s, 90s, 180s},  // a timeout as long as the interval: every second due time is missed
        {10s, 2s, 1, 0s, 10s, 12s},
        {10s, 5s, 3, 1s, 12s, 27s},  // asked again sooner after a failure
        {1s, 5s, 2, 0s, 2s, 12s},
    }));
    Timing timing;
    timing.interval = interval;
    timing.timeout = timeout;
    timing.retries = retries;
    timing.retry_interval = retry;
    CAPTURE(interval.text(), timeout.text(), retries, retry.text());
    CHECK(slowest_detection_of_refusal(timing) == refused);
    CHECK(slowest_detection(timing) == hang);
}

TEST_CASE("a service's timeline names its probes, its root and what follows")
{
    StackSpec spec;
    spec.services = {service("db"), service("api", {{.service = "db", .restart = true}},
                                            {tcp_probe(), tcp_probe("config", Role::gate)})};
    const Stack stack{spec};
    const auto api = explain(stack, *stack.find("api"));
    CAPTURE(api);
    CHECK(api.find("a crash (refused connection) is noticed within 30s, a hang within 35s") != api.npos);
    CHECK(api.find("config (tcp, gate)") != api.npos);
    CHECK(api.find("not while db is not healthy") != api.npos);
    CHECK(api.find("a restart signal is raised") != api.npos);
    CHECK(explain(stack, *stack.find("db")).find("api is restarted too") != std::string::npos);
}
