#include "tests/catch.hpp"
#include "tests/unit/temporary_file.hpp"

#include "exporters/connections.hpp"
#include "exporters/door/door.hpp"

#include <boost/asio/co_spawn.hpp>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

const std::string hash =
    "$2b$04$hupZYd7fdSokiIRLxbaMpOYySy/bP.AMBiJYGrhEfJcSn9sI4wPU2";  // of "correct horse"
const std::string alice = "Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==";
const std::string wrong = "Basic YWxpY2U6d3Jvbmc=";
const Peer stranger{.address = "192.0.2.7"};

struct Entrance {
    asio::io_context loop{};
    TemporaryFile file{};
    Door door{loop};

    explicit Entrance(const std::string& text)
    {
        file.write(text);
        const auto opened = door.open(file.path());
        INFO((opened ? "" : opened.error()));
        REQUIRE(opened);
    }
    ~Entrance() { door.stop(); }

    Door::Admission ask(const Peer& peer, const std::string& authorization = {})
    {
        if (auto known = door.admit(peer, authorization, Clock::now()))
            return *std::move(known);
        std::optional<Door::Admission> answer;
        asio::co_spawn(loop, door.admit_slowly(peer, authorization),
                       [&](const std::exception_ptr&, Door::Admission got) { answer = std::move(got); });
        loop.restart();
        const auto until = Clock::now() + 10s;
        while (!answer && Clock::now() < until)
            loop.run_one_for(1s);
        REQUIRE(answer);
        return *std::move(answer);
    }
    int status(const Peer& peer, const std::string& authorization = {})
    {
        const auto answer = ask(peer, authorization);
        return answer ? 200 : answer.error().status;
    }
};

std::string users(const std::string& roles)
{
    return "basic_auth_users: {alice: " + hash + "}\nroles: " + roles;
}

}  // namespace

TEST_CASE("door: without users, who is on this host may act")
{
    Entrance entrance{"{}"};
    CHECK(entrance.ask({.local = true})->may_act);
    CHECK(entrance.ask({.address = "127.0.0.1", .on_this_host = true})->may_act);
    CHECK_FALSE(entrance.ask(stranger)->may_act);
    CHECK(entrance.status(stranger, wrong) == 200);
}

TEST_CASE("door: with users, a name and its password are needed, and the name says what one may do")
{
    Entrance entrance{users(GENERATE("{}", "{alice: read}"))};
    CHECK(entrance.ask({.local = true})->may_act);
    for (const auto& peer : {stranger, Peer{.address = "127.0.0.1", .on_this_host = true}}) {
        CHECK(entrance.status(peer) == 401);
        CHECK(entrance.status(peer, wrong) == 401);
        CHECK(entrance.status(peer, "Bearer x") == 401);
        const auto visitor = entrance.ask(peer, alice);
        CHECK((visitor && visitor->is_known && visitor->name == "alice" && !visitor->may_act));
    }
    Entrance other{users("{alice: act}")};
    CHECK(other.ask(stranger, alice)->may_act);
}

TEST_CASE("door: who guesses is asked to wait, and then not even heard; another user of the same address is")
{
    Entrance entrance{"basic_auth_users: {alice: " + hash + ", bob: " + hash + "}"};
    for (int i = 0; i < Guesses::per_user.burst; ++i)
        CHECK(entrance.status(stranger, wrong) == 401);
    CHECK(entrance.status(stranger, wrong) == 429);
    CHECK(entrance.status(stranger, alice) == 429);
    CHECK(entrance.status(stranger, "Basic Ym9iOmNvcnJlY3QgaG9yc2U=") == 200);
    CHECK(entrance.status({.address = "192.0.2.8"}, alice) == 200);
}

TEST_CASE("door: addresses of one IPv6 network guess together")
{
    Entrance entrance{users("{}")};
    for (int i = 0; i < Guesses::per_user.burst; ++i)
        CHECK(entrance.status({.address = "2001:db8::" + std::to_string(i)}, wrong) == 401);
    CHECK(entrance.status({.address = "2001:db8::ffff"}, wrong) == 429);
    CHECK(entrance.status({.address = "2001:db8:0:1::1"}, wrong) == 401);
}

TEST_CASE("door: a right password is hashed once")
{
    Entrance entrance{users("{}")};
    CHECK_FALSE(entrance.door.admit(stranger, alice, Clock::now()));
    CHECK(entrance.status(stranger, alice) == 200);
    CHECK(entrance.door.admit(stranger, alice, Clock::now()));
    CHECK_FALSE(entrance.door.admit(stranger, wrong, Clock::now()));
}

TEST_CASE("door: a changed file is taken over, a broken one is not")
{
    Entrance entrance{users("{}")};
    entrance.file.write("{}");
    entrance.door.look_again(Clock::now() + 2s);
    CHECK(entrance.status(stranger) == 200);
    entrance.file.write("basic_auth_user: {}");
    CHECK_FALSE(entrance.door.reload());
    CHECK_FALSE(entrance.door.is_current());
    CHECK(entrance.status(stranger) == 200);
    entrance.file.write(users("{}"));
    CHECK(entrance.door.reload());
    CHECK(entrance.door.is_current());
    CHECK(entrance.status(stranger) == 401);
}

TEST_CASE("door: an empty file switches nothing off, unless it says so")
{
    Entrance entrance{users("{}")};
    const std::string empty = GENERATE("", "# TLS and users\n", "---\n", "basic_auth_users:\n", "null");
    CAPTURE(empty);
    entrance.file.write(empty);
    const auto done = entrance.door.reload();
    REQUIRE_FALSE(done);
    CHECK_THAT(done.error(), Catch::Matchers::ContainsSubstring("write {} to switch"));
    CHECK_FALSE(entrance.door.is_current());
    CHECK(entrance.status(stranger) == 401);
    entrance.file.write("{}");
    CHECK(entrance.door.reload());
    CHECK(entrance.status(stranger) == 200);
    entrance.file.write(empty);  // nothing is lost now
    CHECK(entrance.door.reload());
    CHECK(Entrance{empty}.door.is_current());
}

TEST_CASE("door: credentials are read as RFC 7617 says")
{
    auto [header, user, password] = GENERATE(table<std::string, std::string, std::string>({
        {"Basic YTpi", "a", "b"},
        {"basic  YTpi", "a", "b"},
        {"BASIC YTpiOmM=", "a", "b:c"},
        {"Basic Og==", "", ""},
    }));
    const auto found = basic_credentials(header);
    REQUIRE(found);
    CHECK(found->user == user);
    CHECK(found->password == password);
    for (const auto* bad : {"", "Basic", "Basic ", "Basic YQ==", "Basic !!!", "Bearer YTpi", "Basic Y\nTpi"})
        CHECK_FALSE(basic_credentials(bad));
}

TEST_CASE("token bucket: so many at once, then one in each interval")
{
    const Rate rate{.interval = 10s, .burst = 3};
    TokenBucket bucket;
    const auto begin = Clock::now();
    const auto taken = [&](Clock::duration at) { return bucket.take(rate, begin + at); };
    CHECK((taken(0s) && taken(0s) && taken(1s)));
    CHECK_FALSE(taken(2s));
    CHECK(bucket.wait(rate, begin + 2s) == 8s);
    CHECK(taken(10s));
    CHECK_FALSE(taken(19s));
    CHECK(taken(20s));
    bucket.give_back(rate);
    CHECK(taken(20s));
    CHECK_FALSE(bucket.is_full(begin + 49s));
    CHECK(bucket.is_full(begin + 50s));
    CHECK((taken(1000s) && taken(1000s) && taken(1000s) && !taken(1000s)));
}

TEST_CASE("guesses: a peer has so many in all, which it cannot see in what it is told of one user")
{
    Guesses guesses;
    const auto now = Clock::now();
    for (int i = 0; i < Guesses::per_peer.burst; ++i)
        CHECK(guesses.count("peer", "user" + std::to_string(i), now) == 0s);
    CHECK(guesses.count("peer", "another", now) > 0s);
    CHECK(guesses.wait("peer", "another", now) == 0s);
    for (int i = 1; i < Guesses::per_user.burst; ++i)
        CHECK(guesses.count("peer", "another", now) > 0s);
    CHECK(guesses.wait("peer", "another", now) > 0s);
    CHECK(guesses.count("other peer", "user0", now) == 0s);
}

TEST_CASE("guesses: what is long ago is forgotten")
{
    Guesses guesses;
    auto now = Clock::now();
    for (int i = 0; i < 100'000; ++i, now += 100ms)  // more than one that hashes can do
        guesses.count("peer" + std::to_string(i), "alice", now);
    CHECK(guesses.size() < 1000);
}

TEST_CASE("connections: the one that has waited for the longest makes room, none that is answered does")
{
    struct Other : Endable {
        int ended = 0;
        void end() override { ++ended; }
    };
    asio::io_context loop;
    Connections all{loop, 3};
    std::array<Other, 4> others;
    std::vector<std::unique_ptr<Connections::Place>> places;
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(all.has_room());
        places.push_back(std::make_unique<Connections::Place>(all, others[i]));
    }
    CHECK_FALSE(all.has_room());
    places[1]->waits(1h);
    places[0]->waits(1h);
    places[1]->waits(1h);  // said something meanwhile
    CHECK(all.has_room());
    CHECK(others[0].ended == 1);
    places[0]->waits(1h);  // it does not know yet
    CHECK(all.has_room());
    CHECK((others[0].ended == 1 && others[1].ended == 1));
    CHECK_FALSE(all.has_room());
    places[1].reset();
    CHECK(all.has_room());
    places[2]->waits(0s);
    for (const auto until = Clock::now() + 10s; others[2].ended == 0 && Clock::now() < until;)
        loop.run_one_for(1s);
    CHECK(others[2].ended == 1);
}
