#include "probes/stream.hpp"
#include "probes/resolver.hpp"
#include "probes/runner.hpp"
#include "tests/catch.hpp"
#include "tests/unit/scripted_dns.hpp"
#include "tests/unit/scripted_server.hpp"
#include "tests/unit/silent_port.hpp"

#include <fcntl.h>
#include <sys/resource.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

struct Reached {
    std::string peer{};
    Verdict verdict{};
    Clock::duration took{};
    bool ended = false;
};

asio::awaitable<void> reach(Address address, Clock::time_point limit, std::shared_ptr<Reached> reached)
{
    const auto begun = Clock::now();
    Progress progress;
    try {
        auto stream = co_await connect(address, progress, limit);
        reached->peer = stream.socket().remote_endpoint().address().to_string();
        reached->verdict = ok();
    } catch (const Failure& failure) {
        reached->verdict = failure.verdict;
    } catch (const boost::system::system_error& error) {
        reached->verdict = verdict_of(error.code());
    }
    reached->took = Clock::now() - begun;
    reached->ended = true;
}

Reached reached_now(asio::io_context& loop, const Address& address, Clock::duration limit = 10s)
{
    const auto reached = std::make_shared<Reached>();
    const auto until = limit == 10s ? Clock::time_point::max() : Clock::now() + limit;
    asio::co_spawn(loop, reach(address, until, reached), asio::detached);
    const auto patience = Clock::now() + 10s;
    while (!reached->ended && Clock::now() < patience) {
        loop.restart();
        loop.run_one_for(100ms);
    }
    REQUIRE(reached->ended);
    return *reached;
}

asio::awaitable<void> note_flags(Address address, int& flags)
{
    Progress progress;
    auto stream = co_await connect(address, progress);
    flags = ::fcntl(stream.socket().native_handle(), F_GETFD);
}

// A name with these addresses, and a port that is free on all of them.
struct Stage {
    explicit Stage(std::vector<std::string> addresses)
        : dns{loop, {{"app", {.addresses = std::move(addresses)}}}}
    {
        configure_resolver(loop, {.servers = dns.address(), .hosts = "/nonexistent"});
        tcp::acceptor finder{loop, {asio::ip::address_v4::any(), 0}};
        port = finder.local_endpoint().port();
    }
    Address app() const { return {.host = "app", .port = port}; }
    tcp::acceptor listen(const std::string& address)
    {
        return {loop, {asio::ip::make_address(address), port}};
    }

    asio::io_context loop;
    ScriptedDns dns;
    std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("stream: an address that refuses makes the next one start at once")
{
    Stage stage{{"127.0.0.1", "127.0.0.2", "127.0.0.3"}};
    const auto third = stage.listen("127.0.0.3");
    const auto reached = reached_now(stage.loop, stage.app());
    CHECK(reached.peer == "127.0.0.3");
    CHECK(reached.took < 450ms);
}

TEST_CASE("stream: an address that is silent is overtaken by the next one after a quarter of a second")
{
    Stage stage{{"127.0.0.1", "127.0.0.2"}};
    const SilentPort first{stage.loop, "127.0.0.1", stage.port};
    const auto second = stage.listen("127.0.0.2");
    const auto reached = reached_now(stage.loop, stage.app());
    CHECK(reached.peer == "127.0.0.2");
    CHECK(reached.took >= 240ms);
    CHECK(reached.took < 250ms + slack);
}

TEST_CASE("stream: IPv6 is reached, alone and beside an IPv4 that refuses")
{
    Stage stage{{"127.0.0.1", "::1"}};
    const auto six = stage.listen("::1");
    CHECK(reached_now(stage.loop, stage.app()).peer == "::1");
    CHECK(reached_now(stage.loop, {.host = "::1", .port = stage.port}).peer == "::1");
    CHECK(reached_now(stage.loop, {.host = "localhost", .port = stage.port}).peer == "::1");
}

TEST_CASE("stream: when all addresses fail, the error that says most counts")
{
    Stage stage{{"224.0.0.1", "127.0.0.1", "255.255.255.255"}};  // no TCP to the first and the last
    const auto reached = reached_now(stage.loop, stage.app());
    CHECK(reached.verdict.reason == Reason::connection_refused);
    CHECK_THAT(reached.verdict.detail, Catch::Matchers::ContainsSubstring("3 addresses"));
}

TEST_CASE("stream: a name whose addresses fail is asked for again")
{
    Stage stage{{"127.0.0.1"}};
    CHECK(reached_now(stage.loop, stage.app()).verdict.reason == Reason::connection_refused);
    stage.dns["app"].addresses = {"127.0.0.2"};
    const auto moved = stage.listen("127.0.0.2");
    CHECK(reached_now(stage.loop, stage.app()).peer == "127.0.0.2");
}

TEST_CASE("stream: silence until the limit is a timeout")
{
    Stage stage{{"127.0.0.1", "127.0.0.2"}};
    const SilentPort first{stage.loop, "127.0.0.1", stage.port};
    const SilentPort second{stage.loop, "127.0.0.2", stage.port};
    const Address address =
        GENERATE(true, false) ? stage.app() : Address{.host = "127.0.0.1", .port = stage.port};
    const auto reached = reached_now(stage.loop, address, 400ms);
    CHECK(reached.verdict.outcome == Outcome::no_response);
    CHECK(reached.verdict.reason == Reason::timeout);
    CHECK(reached.took >= 395ms);
    CHECK(reached.took < 400ms + slack);
}

TEST_CASE("stream: a pinned address stands in for the name")
{
    Stage stage{{"192.0.2.1"}};
    const auto pinned = stage.listen("127.0.0.5");
    CHECK(reached_now(stage.loop, {.host = "app", .port = stage.port, .pinned = "127.0.0.5"}).peer ==
          "127.0.0.5");
    CHECK(stage.dns.asked("app") == 0);
}

TEST_CASE("stream: an attempt without a free file descriptor is our own fault")
{
    Stage stage{{"127.0.0.1", "127.0.0.2"}};
    const auto listener = stage.listen("127.0.0.1");
    REQUIRE(reached_now(stage.loop, stage.app()).verdict.outcome == Outcome::ok);  // the name is known now

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none{before};
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
    const auto one = reached_now(stage.loop, {.host = "127.0.0.1", .port = stage.port});
    const auto many = reached_now(stage.loop, stage.app());
    ::setrlimit(RLIMIT_NOFILE, &before);
    for (const auto& verdict : {one.verdict, many.verdict}) {
        CHECK(verdict.outcome == Outcome::not_attempted);
        CHECK(verdict.reason == Reason::resource_exhausted);
    }
}

TEST_CASE("stream: sockets are not inherited by programs")
{
    Stage stage{{}};
    const auto listener = stage.listen("127.0.0.1");
    int flags = 0;
    asio::co_spawn(stage.loop, note_flags({.host = "127.0.0.1", .port = stage.port}, flags), asio::detached);
    stage.loop.run_for(1s);
    CHECK((flags & FD_CLOEXEC) != 0);
}
