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

std::string bulk(const std::string& text)
{
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::string ago_in(std::chrono::nanoseconds ago, double units_per_second)
{
    const std::chrono::duration<double> at = std::chrono::system_clock::now().time_since_epoch() - ago;
    return std::to_string(at.count() * units_per_second);
}

// A Redis server that answers one GET of the key `beat`.
constexpr std::string_view get_beat = "*2\r\n$3\r\nGET\r\n$4\r\nbeat\r\n";
std::vector<Step> answers(std::string reply) { return {{get_beat.size(), std::move(reply)}}; }

HeartbeatSpec in_redis(const ScriptedServer& server, Duration max_age = 1min)
{
    return {.max_age = max_age, .redis = HeartbeatServer{.address = server.address()}, .key = "beat"};
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

TEST_CASE("heartbeat: who has never reported in is not well")
{
    asio::io_context loop;
    const HeartbeatSpec spec{.max_age = 200ms, .name = "worker"};
    const auto first = run_now(loop, spec);
    CHECK(first.outcome == Outcome::rejected);
    CHECK(first.reason == Reason::late);
    CHECK(first.detail == "no beat yet, watched for 0.0 s");
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
        {-std::chrono::years{200}, Outcome::ok, "in the future"},
    }));
    CAPTURE(words);
    Folder folder;
    const auto file = folder.write("beat", "");
    touch(file, ago);
    asio::io_context loop;
    const auto result = run_now(loop, HeartbeatSpec{.max_age = 1min, .file = file});
    CHECK(result.outcome == outcome);
    CHECK(result.reason == (outcome == Outcome::ok ? Reason::none : Reason::late));
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE(
    "heartbeat: a file that is not there is late, one that cannot be looked at is our "
    "fault")
{
    Folder folder;
    asio::io_context loop;
    const HeartbeatSpec missing{.max_age = 200ms, .file = folder / "none"};
    CHECK(run_now(loop, missing).reason == Reason::late);
    CHECK_THAT(run_now(loop, missing).detail, Catch::Matchers::ContainsSubstring("is missing, watched for"));
    folder.write("none", "");
    CHECK(run_now(loop, missing).outcome == Outcome::ok);
    std::filesystem::remove(folder / "none");
    CHECK(run_until(loop, [&] { return run_now(loop, missing).reason == Reason::late; }));

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

TEST_CASE("heartbeat: a key in Redis holds the time of the last beat, or is just there")
{
    auto [reply, outcome, reason, words] = GENERATE(table<std::string, Outcome, Reason, std::string>({
        {bulk(ago_in(5s, 1)), Outcome::ok, Reason::none, "last beat 5."},
        {bulk(ago_in(5s, 1000)), Outcome::ok, Reason::none, "last beat 5."},
        {bulk(ago_in(95s, 1)), Outcome::rejected, Reason::late, "last beat 95 s ago, limit 1m"},
        {bulk(ago_in(-1h, 1)), Outcome::ok, Reason::none, "in the future"},
        {bulk("1e300"), Outcome::ok, Reason::none, "in the future"},
        {bulk("-1e300"), Outcome::rejected, Reason::late, "limit 1m"},
        {bulk("nan"), Outcome::ok, Reason::none, "is there"},
        {bulk("alive"), Outcome::ok, Reason::none, "is there"},
        {bulk(""), Outcome::ok, Reason::none, "is there"},
        {"$-1\r\n", Outcome::rejected, Reason::late, "is missing, watched for 0.0 s"},
        {"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", Outcome::ok, Reason::none,
         "is there"},
        {"-NOAUTH Authentication required.\r\n", Outcome::not_attempted, Reason::authentication_required,
         "cannot be read"},
        {"-LOADING Redis is loading the dataset in memory\r\n", Outcome::not_attempted, Reason::starting_up,
         "cannot be read"},
    }));
    CAPTURE(reply);
    asio::io_context loop;
    ScriptedServer server{loop, answers(reply)};
    const auto result = run_now(loop, in_redis(server));
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(words));
    CHECK(server.received() == get_beat);
}

TEST_CASE("heartbeat: a key that has gone is late when it was first asked for longer ago than the limit")
{
    asio::io_context loop;
    ScriptedServer server{loop, answers("$-1\r\n")};
    const auto source = "key beat of redis " + server.address().text();
    heartbeats(loop).last(source, Clock::now());
    heartbeats(loop).seen(source);
    CHECK(run_now(loop, in_redis(server, 300ms)).outcome == Outcome::ok);
    CHECK(run_until(loop, [&] { return run_now(loop, in_redis(server, 300ms)).reason == Reason::late; }));
}

TEST_CASE("heartbeat: when Redis does not answer, that says nothing about the service")
{
    auto [fault, step, reason] = GENERATE(table<Fault, std::size_t, Reason>({
        {Fault::close, 0, Reason::connection_closed},
        {Fault::reset, 0, Reason::connection_reset},
        {Fault::stall, 0, Reason::timeout},
        {Fault::garbage, 0, Reason::protocol_error},
        {Fault::endless, 0, Reason::protocol_error},
        {Fault::close, 1, Reason::connection_closed},
        {Fault::reset, 1, Reason::connection_reset},
        {Fault::stall, 1, Reason::timeout},
        {Fault::close, 2, Reason::connection_closed},
        {Fault::reset, 2, Reason::connection_reset},
        {Fault::stall, 2, Reason::timeout},
        {Fault::garbage, 2, Reason::timeout},  // a length that goes on without an end
    }));
    CAPTURE(step, reason);
    asio::io_context loop;
    const std::vector<Step> script{{get_beat.size(), "$"}, {.send = "1"}, {.send = "2\r\n1700000000"}};
    ScriptedServer server{loop, script, fault, step};
    const auto result = run_now(loop, in_redis(server), 500ms);
    CHECK(result.outcome == Outcome::not_attempted);
    CAPTURE(result.detail);
    // Who closes with our bytes unread resets the connection.
    if (fault != Fault::close || result.reason != Reason::connection_reset)
        CHECK(result.reason == reason);
    CHECK_THAT(result.detail,
               Catch::Matchers::ContainsSubstring("cannot be read from key beat of redis 127.0.0.1:"));
    CHECK(result.took < 2s);

    auto nobody = in_redis(server);
    nobody.redis->address.port = 1;
    const auto refused = run_now(loop, nobody, 500ms);
    CHECK(refused.outcome == Outcome::not_attempted);
    CHECK(refused.reason == Reason::connection_refused);
}

TEST_CASE("heartbeat: what no single field can know is a fault")
{
    const HeartbeatServer server{.address = {.host = "redis", .port = 6379}};
    auto [spec, words] = GENERATE_COPY(table<HeartbeatSpec, std::string>({
        {HeartbeatSpec{.max_age = 1min, .file = "/x", .redis = server, .key = "k"}, "not both"},
        {HeartbeatSpec{.max_age = 1min, .redis = server}, "which key"},
        {HeartbeatSpec{.max_age = 1min, .key = "k"}, "add `redis`"},
        {HeartbeatSpec{.max_age = 1min,
                       .redis = HeartbeatServer{.address = {.host = "redis", .port = 1}, .username = "u"},
                       .key = "k"},
         "needs a password"},
    }));
    CAPTURE(words);
    REQUIRE(spec.faults().size() == 1);
    CHECK_THAT(spec.faults()[0], Catch::Matchers::ContainsSubstring(words));
    CHECK(HeartbeatSpec{.max_age = 1min, .redis = server, .key = "k"}.faults().empty());
    CHECK(HeartbeatSpec{.max_age = 1min}.faults().empty());
}
