#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "daemon/memory.hpp"

using namespace keepwell;
using namespace keepwell::test;

namespace {

Monitor fresh(Clock::time_point now)
{
    StackSpec spec;
    spec.services = {service("db"), service("api", {{.service = "db"}})};
    return Monitor{Stack{spec}, {}, now, 1};
}

std::string bad_restart(const std::string& time)
{
    return R"({"version":1,"services":{"db":{"instances":{"db":{"restarts":[)" + time +
           R"(],"in_a_row":1,"quarantined":false}}}}})";
}

const auto wall = WallTime{} + std::chrono::hours{24 * 365 * 50};
const auto now = Clock::time_point{1000s};

}  // namespace

TEST_CASE("memory: records and maintenance survive, on another steady clock")
{
    auto before = fresh(now);
    before.restore(ServiceId{0}, true, "new disk");
    const RestartRecord record{
        .recent = {now - 100s, now - 10s}, .in_a_row = 2, .not_before = now + 30s, .quarantined = true};
    before.restore(InstanceId{1}, record);
    const auto text = memory_text(before, {}, now, wall);

    const auto later = Clock::time_point{5s};  // the machine was booted anew, a minute passed
    auto after = fresh(later);
    CHECK_FALSE(recall(text, after, nullptr, later, wall + 60s));
    CHECK(after.service(0).maintenance);
    CHECK(after.service(0).maintenance_note == "new disk");
    const auto& back = after.instance(1).record;
    CHECK(back.quarantined);
    CHECK(back.in_a_row == 2);
    REQUIRE(back.recent.size() == 2);
    CHECK(std::chrono::abs(back.recent[1] - (later - 70s)) < 1ms);
    CHECK(std::chrono::abs(back.not_before - (later - 30s)) < 1ms);
    CHECK(after.instance(0).record == RestartRecord{});
}

TEST_CASE("memory: what is not there now is remembered until it is back")
{
    StackSpec empty;
    Monitor nothing{Stack{empty}, {}, now, 1};
    auto before = fresh(now);
    before.restore(ServiceId{0}, true, "new disk");
    before.restore(InstanceId{1}, RestartRecord{.recent = {now - 10s}, .in_a_row = 1, .quarantined = true});
    const bool by_reload = GENERATE(true, false);
    if (by_reload)
        nothing.adopt(before, now);
    else
        CHECK_FALSE(recall(memory_text(before, {}, now, wall), nothing, nullptr, now, wall));
    const auto text = memory_text(nothing, {}, now + 1h, wall + 1h);

    auto after = fresh(now + 2h);
    CHECK_FALSE(recall(text, after, nullptr, now + 2h, wall + 2h));
    CHECK(after.service(0).maintenance_note == "new disk");
    CHECK(after.instance(1).record.quarantined);
    CHECK(after.departed().all().empty());
}

TEST_CASE("memory: who left is forgotten after a day, or when there are too many")
{
    Departed departed;
    for (int i = 0; i < 1100; ++i)
        departed.leave({std::to_string(i), ""}, {.maintenance = "", .left = now + i * 1s});
    CHECK(departed.all().size() == 1000);
    CHECK_FALSE(departed.take({"99", ""}));
    CHECK(departed.take({"100", ""}));
    CHECK_FALSE(departed.take({"100", ""}));
    departed.leave({"late", "one"}, {.left = now + 25h});
    CHECK(departed.all().size() == 1);
}

TEST_CASE("memory: what cannot be trusted is the safe choice, with a warning")
{
    auto text =
        GENERATE(as<std::string>{}, "", "{", "[]", "null", "{}", R"({"version":2,"services":{}})",
                 R"({"version":1,"services":[]})", R"({"version":1,"services":{"db":3}})",
                 R"({"version":1,"services":{"db":{"maintenance":1}}})",
                 R"({"version":1,"services":{"db":{"instances":{"db":{}}}}})", bad_restart("\"x\""),
                 bad_restart("1e300"), R"({"version":1,"services":{},"departed":3})",
                 R"({"version":1,"services":{},"departed":[{"service":"x","instance":"","left":1}]})");
    CAPTURE(text);
    auto monitor = fresh(now);
    CHECK(recall(text, monitor, nullptr, now, wall));
    CHECK(monitor.instance(0).record.not_before > now);
    CHECK(monitor.instance(1).record.recent.size() == 1);
}

TEST_CASE("memory: a clock that was set back makes no restart lie in the future")
{
    auto before = fresh(now);
    before.restore(InstanceId{0}, RestartRecord{.recent = {now}, .in_a_row = 1, .not_before = now + 10s});
    auto after = fresh(now);
    CHECK_FALSE(
        recall(memory_text(before, {}, now, wall), after, nullptr, now, wall - std::chrono::hours{24 * 30}));
    CHECK(after.instance(0).record.recent.at(0) == now);
    CHECK(after.instance(0).record.not_before <=
          now + 2 * RestartPolicy{}.backoff_max.value + RestartPolicy{}.action_timeout().value);
}

TEST_CASE("memory: a file is replaced as a whole or not at all")
{
    auto monitor = fresh(now);
    CHECK_FALSE(recall_file("/no/such/directory/state", monitor, nullptr, now, wall));
    CHECK(write_memory("/no/such/directory/state", "x"));
    CHECK(write_memory("/dev/full", "x"));
    char name[] = "/tmp/keepwell-memory-XXXXXX";
    REQUIRE(::mkdtemp(name));
    const auto path = std::string{name} + "/state";
    CHECK_FALSE(write_memory(path, memory_text(monitor, {}, now, wall)));
    CHECK_FALSE(recall_file(path, monitor, nullptr, now, wall));
    CHECK_FALSE(write_memory(path, "{"));
    CHECK(recall_file(path, monitor, nullptr, now, wall));
    CHECK(std::remove(path.c_str()) == 0);
    CHECK(std::remove(name) == 0);  // empty: no temporary file was left behind
}
