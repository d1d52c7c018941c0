#include "tests/catch.hpp"
#include "tests/unit/processes.hpp"

#include <fcntl.h>
#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

const Clock::time_point start{1000h};

// Makes the file say that it was changed so long ago.
void touch(const std::string& path, std::chrono::nanoseconds ago)
{
    const auto at = std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()} - ago;
    const timespec time{.tv_sec = at / 1s, .tv_nsec = (at % 1s).count()};
    const timespec times[2]{time, time};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("heartbeat: who posts in time is well, who does not is late")
{
    auto [ago, outcome, detail] = GENERATE(table<Clock::duration, Outcome, std::string>({
        {3s, Outcome::ok, "last beat 3.0 s ago"},
        {59s, Outcome::ok, "last beat 59 s ago"},
        {95s, Outcome::rejected, "last beat 95 s ago, limit 1m"},
        {36h, Outcome::rejected, "last beat 129600 s ago, limit 1m"},
    }));
    asio::io_context loop;
    heartbeats(loop).beat("worker", Clock::now() - ago);
    const auto result = run_now(loop, HeartbeatSpec{.max_age = 1min, .name = "worker"});
    CHECK(result.outcome == outcome);
    CHECK(result.reason == (outcome == Outcome::ok ? Reason::none : Reason::late));
    CHECK(result.detail == detail);
    REQUIRE(result.facts.size() == 1);
    CHECK(result.facts[0].name == "heartbeat_age_seconds");
    CHECK(std::abs(result.facts[0].value - std::chrono::duration<double>(ago).count()) < 1);
}

TEST_CASE("heartbeat: before the first beat the limit counts from the first look")
{
    asio::io_context loop;
    const HeartbeatSpec spec{.max_age = 200ms, .name = "worker"};
    const auto first = run_now(loop, spec);
    CHECK(first.outcome == Outcome::ok);
    CHECK(first.detail == "no beat yet, watched for 0.0 s");
    CHECK(run_until(loop, [&] { return run_now(loop, spec).reason == Reason::late; }));
    heartbeats(loop).beat("worker", Clock::now());
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
    CHECK(run_now(loop, HeartbeatSpec{.max_age = 1s}).reason == Reason::bad_configuration);
}

TEST_CASE("heartbeat: after keepwell stood still, everyone gets a whole new limit")
{
    asio::io_context loop;
    auto& beats = heartbeats(loop);
    beats.beat("worker", start);
    beats.resumed(start + 1h);
    CHECK(beats.last("worker", start + 1h).at == start + 1h);
    beats.beat("worker", start + 2h);
    beats.resumed(start + 90min);  // an earlier one changes nothing
    CHECK(beats.last("worker", start + 2h).at == start + 2h);
}

TEST_CASE("heartbeat: a file is as alive as its last change")
{
    auto [ago, outcome, words] = GENERATE(table<std::chrono::nanoseconds, Outcome, std::string>({
        {0s, Outcome::ok, "last beat 0.0 s ago"},
        {30s, Outcome::ok, "last beat 30 s ago"},
        {95s, Outcome::rejected, "last beat 95 s ago, limit 1m"},
        {-1s, Outcome::ok, "last beat 0.0 s ago"},
        {-1h, Outcome::ok, "in the future"},
    }));
    CAPTURE(words);
    Folder folder;
    const auto file = folder.write("beat", "");
    touch(file, ago);
    asio::io_context loop;
    const auto result = run_now(loop, HeartbeatSpec{.max_age = 1min, .file = file});
    CHECK(result.outcome == outcome);
    CHECK(result.reason == (outcome == Outcome::ok ? Reason::none : Reason::late));
    CHECK_THAT(result.detail, Catch::Matchers::Contains(words));
}

TEST_CASE(
    "heartbeat: a file that is not there yet has the limit as grace, one that cannot be looked at is our "
    "fault")
{
    Folder folder;
    asio::io_context loop;
    const HeartbeatSpec missing{.max_age = 200ms, .file = folder / "none"};
    CHECK(run_now(loop, missing).outcome == Outcome::ok);
    CHECK(run_until(loop, [&] { return run_now(loop, missing).reason == Reason::late; }));
    CHECK_THAT(run_now(loop, missing).detail, Catch::Matchers::Contains("is missing, watched for"));
    folder.write("none", "");
    CHECK(run_now(loop, missing).outcome == Outcome::ok);
    std::filesystem::remove(folder / "none");
    CHECK(run_now(loop, missing).reason == Reason::late);  // the grace was for the first beat only

    std::filesystem::create_symlink("loop", folder / "loop");
    CHECK(run_now(loop, HeartbeatSpec{.max_age = 1s, .file = folder / "loop"}).outcome ==
          Outcome::not_attempted);
}

TEST_CASE("heartbeat: a stamp is as old as its clock says, as far as that fits with what was seen of it")
{
    // One row is one life: the looks at a stamp, one every ten seconds. A letter names the stamp, the number
    // is its age by the clock on the wall; then what it counts as.
    struct Look {
        std::int64_t stamp;
        Clock::duration wall;
        Clock::duration age;
    };
    auto life = GENERATE(values<std::vector<Look>>({
        // an honest clock is believed
        {{1, 3s, 3s}, {1, 13s, 13s}, {2, 4s, 4s}, {2, 14s, 14s}},
        {{1, 95s, 95s}, {1, 105s, 105s}},
        // our clock jumps an hour ahead: who renews his stamp is not late
        {{1, 3s, 3s}, {2, 4s, 4s}, {3, 1h, 10s}, {3, 1h + 10s, 20s}, {4, 1h, 10s}},
        // our clock jumps an hour back: who has died is found out all the same
        {{1, 3s, 3s}, {2, -1h, 0s}, {2, -1h + 10s, 10s}, {2, -1h + 20s, 20s}},
        // the other's clock is ahead
        {{1, -5s, 0s}, {1, 5s, 10s}, {2, -5s, 0s}},
        // milliseconds taken for seconds, or nonsense: only what was seen counts
        {{1, -100000h, 0s}, {1, -100000h, 10s}, {2, -100000h, 0s}},
    }));
    asio::io_context loop;
    auto now = start;
    for (const auto& look : life) {
        CAPTURE(look.stamp, (now - start) / 1s);
        CHECK(heartbeats(loop).age_of("file", look.stamp, look.wall, now) == look.age);
        now += 10s;
    }
}
