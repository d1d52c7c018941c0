#include "probes/resolver.hpp"

#include "probes/hosts_file.hpp"
#include "probes/name_cache.hpp"
#include "tests/catch.hpp"
#include "tests/unit/processes.hpp"
#include "tests/unit/scripted_dns.hpp"
#include "tests/unit/scripted_server.hpp"
#include "tests/unit/temporary_file.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using Entry = DnsEntry::Manner;

namespace {

// What came of one look-up: addresses, or the verdict of the failure.
struct Found {
    std::vector<std::string> addresses{};
    Verdict verdict{};
    Clock::duration took{};
    bool ended = false;
};

asio::awaitable<void> find(std::string host, Clock::duration patience, std::shared_ptr<Found> found)
{
    const auto begun = Clock::now();
    try {
        for (const auto& address : co_await resolve(host, begun + patience))
            found->addresses.push_back(address.to_string());
        found->verdict = ok();
    } catch (const Failure& failure) {
        found->verdict = failure.verdict;
    }
    found->took = Clock::now() - begun;
    found->ended = true;
}

std::shared_ptr<Found> start(asio::io_context& loop, const std::string& host, Clock::duration patience = 2s)
{
    auto found = std::make_shared<Found>();
    asio::co_spawn(loop, find(host, patience, found), asio::detached);
    return found;
}

void wait_for(asio::io_context& loop, const std::shared_ptr<Found>& found)
{
    const auto limit = Clock::now() + 10s;
    while (!found->ended && Clock::now() < limit) {
        loop.restart();
        loop.run_one_for(100ms);
    }
    REQUIRE(found->ended);
}

Found found_now(asio::io_context& loop, const std::string& host, Clock::duration patience = 2s)
{
    const auto found = start(loop, host, patience);
    wait_for(loop, found);
    return *found;
}

DnsSettings settings_for(const ScriptedDns& server, const std::string& hosts = "/nonexistent")
{
    return {.servers = server.address(),
            .resolv_conf = "/nonexistent",
            .hosts = hosts,
            .first_try = 300ms,
            .rounds = 2};
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("resolver: numeric addresses and localhost are never asked for")
{
    asio::io_context loop;
    ScriptedDns server{loop, {}};
    configure_resolver(loop, settings_for(server));
    CHECK(found_now(loop, "192.0.2.7").addresses == Strings{"192.0.2.7"});
    CHECK(found_now(loop, "2001:db8::7").addresses == Strings{"2001:db8::7"});
    CHECK(found_now(loop, "localhost").addresses == Strings{"127.0.0.1", "::1"});
    CHECK(found_now(loop, "App.LocalHost").addresses == Strings{"127.0.0.1", "::1"});
    CHECK(server.asked("localhost") + server.asked("App.LocalHost") + server.asked("app.localhost") == 0);
}

TEST_CASE("resolver: the hosts file is asked first, and again when it has changed")
{
    asio::io_context loop;
    TemporaryFile hosts{"192.0.2.1 db db.example # the database\nnonsense here\n"};
    ScriptedDns server{loop, {{"db", {.addresses = {"192.0.2.99"}, .ttl = 0}}}};
    configure_resolver(loop, settings_for(server, hosts.path()));
    CHECK(found_now(loop, "DB").addresses == Strings{"192.0.2.1"});
    CHECK(server.asked("db") == 0);

    hosts.write("192.0.2.22 other\n");
    const auto limit = Clock::now() + 5s;
    while (found_now(loop, "db").addresses != Strings{"192.0.2.99"})
        if (Clock::now() > limit)
            FAIL("the old file is still believed");
    CHECK(found_now(loop, "other").addresses == Strings{"192.0.2.22"});
}

TEST_CASE("resolver: lines of a hosts file")
{
    const auto names = HostsFile::parse(
        "127.0.0.1\tlocalhost\r\n"
        "::1 localhost ip6-localhost#comment\n"
        "# 192.0.2.1 commented.out\n"
        "not-an-address name\n\n   \n"
        "  192.0.2.2   Mixed.Case  alias\n"
        "192.0.2.2 alias\n"
        "192.0.2.3");
    CHECK(names.at("localhost").size() == 2);
    CHECK(names.at("ip6-localhost").size() == 1);
    CHECK(names.at("mixed.case").front().to_string() == "192.0.2.2");
    CHECK(names.at("alias").size() == 1);
    CHECK(names.size() == 4);
}

TEST_CASE("resolver: all addresses of both families, IPv4 first, taking turns")
{
    asio::io_context loop;
    ScriptedDns server{
        loop,
        {{"api", {.addresses = {"2001:db8::1", "192.0.2.1", "192.0.2.2", "2001:db8::2", "192.0.2.3"}}},
         {"six", {.addresses = {"2001:db8::6"}}}}};
    configure_resolver(loop, settings_for(server));
    CHECK(found_now(loop, "api").addresses ==
          Strings{"192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"});
    CHECK(found_now(loop, "six").addresses == Strings{"2001:db8::6"});
}

TEST_CASE("resolver: a name that does not resolve fails with the reason that fits")
{
    asio::io_context loop;
    ScriptedDns server{loop,
                       {{"empty", {}},
                        {"failing", {.manner = Entry::servfail}},
                        {"refused", {.manner = Entry::refuse}},
                        {"garbage", {.manner = Entry::garbage}},
                        {"hanging", {.manner = Entry::ignore}}}};
    configure_resolver(loop, settings_for(server));
    const auto [host, outcome, reason] = GENERATE(table<std::string, Outcome, Reason>({
        {"missing", Outcome::no_response, Reason::dns_failure},
        {"empty", Outcome::no_response, Reason::dns_failure},
        {"failing", Outcome::no_response, Reason::dns_failure},
        {"refused", Outcome::no_response, Reason::dns_failure},
        {"garbage", Outcome::no_response, Reason::dns_failure},
        {"hanging", Outcome::no_response,
         Reason::dns_failure},  // the server knows the root: the name is at fault
        {"two..dots", Outcome::not_attempted, Reason::bad_configuration},
        {std::string(64, 'x') + ".example", Outcome::not_attempted, Reason::bad_configuration},
    }));
    const auto found = found_now(loop, host);
    CAPTURE(host, found.verdict.detail);
    CHECK(found.verdict.outcome == outcome);
    CHECK(found.verdict.reason == reason);
    CHECK_THAT(found.verdict.detail, Catch::Matchers::StartsWith(host));
}

TEST_CASE("resolver: servers that answer nobody say nothing about the target")
{
    asio::io_context loop;
    asio::ip::udp::socket silent{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    const auto port = silent.local_endpoint().port();
    const bool closed = GENERATE(false, true);
    if (closed)
        silent.close();
    CAPTURE(closed);
    configure_resolver(loop, {.servers = "127.0.0.1:" + std::to_string(port), .hosts = "/nonexistent"});
    const auto found = found_now(loop, "db", 600ms);
    CHECK(found.verdict.outcome == Outcome::not_attempted);
    CHECK(found.verdict.reason == Reason::resolver_unavailable);
    CHECK(found.took < 600ms + slack);
}

TEST_CASE("resolver: without file descriptors left nothing is said about the servers")
{
    asio::io_context loop;
    ScriptedDns server{loop, {{"db", {.addresses = {"192.0.2.1"}, .ttl = 0}}}};
    configure_resolver(loop, settings_for(server));
    const bool has_asked = GENERATE(false, true);
    if (has_asked)
        CHECK(found_now(loop, "other").verdict.reason == Reason::dns_failure);
    CAPTURE(has_asked);
    const auto found = without_descriptors([&] { return found_now(loop, "db"); });
    if (found.addresses.empty()) {  // c-ares may have kept a socket to this server
        CHECK(found.verdict.outcome == Outcome::not_attempted);
        CHECK(found.verdict.reason == Reason::resource_exhausted);
    } else {
        CHECK(has_asked);
    }
    CHECK(found_now(loop, "db").addresses == Strings{"192.0.2.1"});
}

TEST_CASE("resolver: a server that dies is told from a name that hangs, whatever it answered before")
{
    asio::io_context loop;
    auto server = std::make_unique<ScriptedDns>(
        loop, ScriptedDns::Names{{"db", {.addresses = {"192.0.2.1"}, .ttl = 0}}});
    configure_resolver(loop, settings_for(*server));
    CHECK(found_now(loop, "db").addresses == Strings{"192.0.2.1"});
    server.reset();
    CHECK(found_now(loop, "db").verdict.reason == Reason::resolver_unavailable);
}

TEST_CASE("resolver: one name that hangs delays no other")
{
    asio::io_context loop;
    ScriptedDns server{loop, {{"hanging", {.manner = Entry::ignore}}, {"db", {.addresses = {"192.0.2.1"}}}}};
    configure_resolver(loop, settings_for(server));
    const auto hanging = start(loop, "hanging");
    const auto db = found_now(loop, "db");
    CHECK(db.addresses == Strings{"192.0.2.1"});
    CHECK(db.took < 700ms);
    CHECK_FALSE(hanging->ended);
    wait_for(loop, hanging);
}

TEST_CASE("resolver: a server that drops questions for IPv6 does no harm")
{
    asio::io_context loop;
    ScriptedDns server{loop, {{"db", {.addresses = {"192.0.2.1"}, .manner = Entry::ignore_aaaa}}}};
    configure_resolver(loop, settings_for(server));
    const auto found = found_now(loop, "db");
    CHECK(found.addresses == Strings{"192.0.2.1"});
    CHECK(found.took < 700ms);
}

TEST_CASE("resolver: an answer is kept for its TTL, a missing name for a moment")
{
    asio::io_context loop;
    ScriptedDns server{
        loop, {{"kept", {.addresses = {"192.0.2.1"}}}, {"fresh", {.addresses = {"192.0.2.2"}, .ttl = 0}}}};
    configure_resolver(loop, settings_for(server));
    for (int i = 0; i < 3; ++i) {
        CHECK(found_now(loop, "kept").addresses.size() == 1);
        CHECK(found_now(loop, "fresh").addresses.size() == 1);
        CHECK(found_now(loop, "missing").verdict.reason == Reason::dns_failure);
    }
    CHECK(server.asked("kept") == 2);  // A and AAAA
    CHECK(server.asked("fresh") == 6);
    CHECK(server.asked("missing") == 2);

    forget_name(loop.get_executor(), "Kept");
    CHECK(found_now(loop, "kept").addresses.size() == 1);
    CHECK(server.asked("kept") == 4);
}

TEST_CASE("resolver: look-ups of one name at one time share a query")
{
    asio::io_context loop;
    ScriptedDns server{loop, {{"db", {.addresses = {"192.0.2.1"}, .ttl = 0}}}};
    configure_resolver(loop, settings_for(server));
    std::vector<std::shared_ptr<Found>> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(start(loop, "db"));
    for (const auto& each : all) {
        wait_for(loop, each);
        CHECK(each->addresses == Strings{"192.0.2.1"});
    }
    CHECK(server.asked("db") == 2);
}

TEST_CASE("resolver: a look-up that was given up leaves nothing behind, and its late answer is of use")
{
    asio::io_context loop;
    auto server =
        std::make_unique<ScriptedDns>(loop, ScriptedDns::Names{{"slow", {.manner = Entry::ignore}}});
    configure_resolver(loop, settings_for(*server));
    CHECK(found_now(loop, "slow", 50ms).verdict.outcome != Outcome::ok);
    (*server)["slow"] = {.addresses = {"192.0.2.1"}};
    CHECK(found_now(loop, "slow").addresses == Strings{"192.0.2.1"});  // by the second try of the first query

    (*server)["hanging"] = {.manner = Entry::ignore};
    CHECK(found_now(loop, "hanging", 50ms).verdict.outcome != Outcome::ok);
    server.reset();
    loop.restart();
    loop.run_for(5s);
    CHECK(loop.stopped());  // no timer, no socket
}

TEST_CASE("resolver: a loop can end while look-ups are under way")
{
    auto loop = std::make_unique<asio::io_context>();
    auto server =
        std::make_unique<ScriptedDns>(*loop, ScriptedDns::Names{{"hanging", {.manner = Entry::ignore}}});
    configure_resolver(*loop, settings_for(*server));
    start(*loop, "hanging");
    loop->run_for(50ms);
    TemporaryFile other{"nameserver 127.0.0.2\n"};
    configure_resolver(*loop, {.resolv_conf = other.path()});
    start(*loop, "hanging");
    loop->restart();
    loop->run_for(50ms);
    server.reset();
    CHECK_NOTHROW(loop.reset());
}

TEST_CASE("resolver: a changed resolv.conf is followed")
{
    asio::io_context loop;
    ScriptedDns before{loop, {{"db", {.addresses = {"192.0.2.1"}}}}};
    ScriptedDns after{
        loop, {{"db", {.addresses = {"192.0.2.2"}}}}, {asio::ip::make_address("127.0.0.2"), before.port()}};
    TemporaryFile resolv_conf{"nameserver 127.0.0.1\n"};
    configure_resolver(loop,
                       {.resolv_conf = resolv_conf.path(), .hosts = "/nonexistent", .port = before.port()});
    CHECK(found_now(loop, "db").addresses == Strings{"192.0.2.1"});
    resolv_conf.write("# another server\nnameserver 127.0.0.2\n");
    const auto limit = Clock::now() + 5s;
    while (found_now(loop, "db").addresses != Strings{"192.0.2.2"})
        if (Clock::now() > limit)
            FAIL("the old server is still asked");
}

TEST_CASE("resolver: the cache is bounded in time and in entries")
{
    const Clock::time_point now{1h};
    const auto reply = [](int ttl) {
        return DnsReply{.status = DnsStatus::found, .ttl = std::chrono::seconds{ttl}};
    };
    NameCache cache{3};
    cache.put("short", reply(2), now);
    cache.put("long", reply(600), now);
    cache.put("gone", {.status = DnsStatus::missing, .ttl = 600s}, now);
    CHECK(cache.find("gone", now + 999ms));
    CHECK_FALSE(cache.find("gone", now + 1s));
    CHECK(cache.find("short", now + 1999ms));
    CHECK_FALSE(cache.find("short", now + 2s));
    CHECK(cache.find("long", now + 4999ms));
    CHECK_FALSE(cache.find("long", now + 5s));
    CHECK(cache.size() == 0);

    for (int i = 0; i < 100; ++i)
        cache.put("name" + std::to_string(i), reply(600), now);
    CHECK(cache.size() == 3);
    CHECK(cache.find("name99", now));
    cache.put("name99", reply(0), now);
    CHECK_FALSE(cache.find("name99", now));
}
