#include "tests/unit/http_peer.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

TEST_CASE("http: redirects")
{
    asio::io_context loop;
    ScriptedServer other{loop, {reply(good)}, Fault::close};
    const auto to = [&](const std::string& status, const std::string& where) {
        return "HTTP/1.1 " + status + " X\r\nContent-Length: 0\r\nLocation: " + where + "\r\n\r\n";
    };
    const auto there = "http://" + other.address().text() + "/there";
    const auto run_at = [&](std::string first, HttpSpec spec) {
        ScriptedServer server{loop, {reply(std::move(first))}, Fault::close};
        spec.url = Url::parse("http://" + server.address().text() + "/").value();
        return run_now(loop, std::move(spec));
    };
    SECTION("are followed to another host without what was meant for the first")
    {
        HttpSpec spec{.method = "POST",
                      .headers = {{"X-Key", "k"}, {"Cookie", "c"}},
                      .body = "hello",
                      .username = "me",
                      .password = Secret{"pw"}};
        const auto result = run_at(to("302", there), spec);
        CHECK(result.outcome == Outcome::ok);
        CHECK(fact(result, "redirects") == 1);
        CHECK(other.received().starts_with("GET /there HTTP/1.1\r\n"));
        for (const auto* secret : {"X-Key", "Cookie", "Authorization", "hello"})
            CHECK_FALSE(other.received().contains(secret));
    }
    SECTION("307 does not carry a body to another host")
    {
        const auto result = run_at(to("307", there), HttpSpec{.method = "POST", .body = "hello"});
        CHECK(result.reason == Reason::status_mismatch);
        CHECK(other.connections() == 0);
    }
    SECTION("307 and 308 keep the method")
    {
        CHECK(run_at(to(GENERATE("307", "308"), there), HttpSpec{.method = "OPTIONS"}).outcome ==
              Outcome::ok);
        CHECK(other.received().starts_with("OPTIONS /there"));
    }
    SECTION("are not followed when they are switched off")
    {
        const auto result = run_at(to("301", there), HttpSpec{.follow_redirects = false});
        CHECK(result.outcome == Outcome::rejected);
        CHECK(result.reason == Reason::too_many_redirects);
        CHECK(other.connections() == 0);
    }
    SECTION("are not followed when they are what is expected")
    {
        const auto result = run_at(to("301", there), HttpSpec{.status = StatusRanges{301, 301}});
        CHECK(result.outcome == Outcome::ok);
        CHECK(other.connections() == 0);
    }
    SECTION("to what is not HTTP are nonsense")
    {
        const auto where =
            GENERATE("ftp://x/", "file:///etc/passwd", "http://user:pw@x/", "http:///", "gopher:x");
        const auto result = run_at(to("302", where), {});
        CHECK(result.outcome == Outcome::rejected);
        CHECK(result.reason == Reason::protocol_error);
        CHECK_FALSE(result.detail.contains("pw"));
    }
    SECTION("without an address are what they are")
    {
        CHECK(run_at("HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", {}).reason == Reason::status_mismatch);
    }
}

TEST_CASE("http: a redirect to itself, for ever")
{
    asio::io_context loop;
    ScriptedServer server{
        loop,
        {reply("HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: /again?token=t0ps3cret\r\n\r\n")},
        Fault::close};
    auto spec = at(server.address());
    SECTION("ends at the limit")
    {
        spec.max_redirects = GENERATE(0, 1, 7);
        const auto result = run_now(loop, spec);
        CHECK(result.outcome == Outcome::rejected);
        CHECK(result.reason == Reason::too_many_redirects);
        CHECK(server.connections() == spec.max_redirects + 1);
        CHECK_FALSE(result.detail.contains("t0ps3cret"));
    }
    SECTION("keeps credentials at the same host")
    {
        spec.max_redirects = 1;
        spec.bearer_token = Secret{"t0ken"};
        run_now(loop, spec);
        const auto& all = server.received();
        CHECK(all.find("Bearer t0ken") != all.rfind("Bearer t0ken"));
    }
}
