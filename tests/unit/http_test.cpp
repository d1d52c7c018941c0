#include "tests/unit/http_peer.hpp"
#include "tests/unit/processes.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> drip(asio::ip::tcp::acceptor& acceptor)
{
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    const std::string begin = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(begin), asio::use_awaitable);
    asio::steady_timer pause{acceptor.get_executor()};
    for (;;) {
        co_await asio::async_write(socket, asio::buffer("x", 1), asio::use_awaitable);
        pause.expires_after(10ms);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

}  // namespace

TEST_CASE("http: a good answer is ok, with its facts")
{
    const auto result = answered(good);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.phase == Phase::reply);
    CHECK(result.detail == "status 200");
    CHECK(fact(result, "http_status_code") == 200);
    CHECK(fact(result, "http_version") == 1.1);
    CHECK(fact(result, "body_bytes") == 3);
    CHECK(fact(result, "redirects") == 0);
}

TEST_CASE("http: the request is what was configured, and no more")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good)}};
    auto spec = at(server.address(), "/health/../x?y=z");
    SECTION("by default")
    {
        REQUIRE(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(server.received() == "GET /health/../x?y=z HTTP/1.1\r\nHost: " + server.address().text() +
                                       "\r\nAccept: */*\r\nUser-Agent: keepwell\r\n\r\n");
    }
    SECTION("method, headers and body")
    {
        spec.method = "PUT";
        spec.headers = {{"Content-Type", "text/x"}, {"Host", "other"}, {"X-Empty", ""}, {"User-Agent", "me"}};
        spec.body = "hello";
        REQUIRE(run_now(loop, spec).outcome == Outcome::ok);
        const auto& request = server.received();
        CHECK(request.starts_with("PUT /health/../x?y=z HTTP/1.1\r\nHost: other\r\n"));
        CHECK(header(request, "Content-Type") == "text/x");
        CHECK(header(request, "Content-Length") == "5");
        CHECK(header(request, "User-Agent") == "me");
        CHECK(request.contains("\r\nX-Empty:\r\n"));
        CHECK_FALSE(request.contains("Expect"));
        CHECK(request.ends_with("hello"));
    }
    SECTION("POST without a body says so")
    {
        spec.method = "POST";
        REQUIRE(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(header(server.received(), "Content-Length") == "0");
    }
    SECTION("basic authentication")
    {
        spec.username = "me";
        spec.password = Secret{"p:w"};
        REQUIRE(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(header(server.received(), "Authorization") == "Basic bWU6cDp3");
    }
    SECTION("bearer token")
    {
        spec.bearer_token = Secret{"abc.def"};
        REQUIRE(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(header(server.received(), "Authorization") == "Bearer abc.def");
    }
}

TEST_CASE("http: HEAD has no body, and waits for none")
{
    HttpSpec spec{.method = "HEAD"};
    CHECK(answered("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", spec).outcome == Outcome::ok);
}

TEST_CASE("http: what a peer may answer, and what it means")
{
    struct Row {
        const char* bytes;
        Outcome outcome;
        Reason reason;
    };
    const auto row = GENERATE(values<Row>({
        {"HTTP/1.0 200 OK\r\n\r\nok", Outcome::ok, Reason::none},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Outcome::ok, Reason::none},
        {"HTTP/1.1 204 No Content\r\n\r\n", Outcome::ok, Reason::none},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome::ok,
         Reason::none},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n", Outcome::ok,
         Reason::none},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", Outcome::rejected, Reason::status_mismatch},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", Outcome::rejected, Reason::authentication_required},
        {"HTTP/1.1 304 Same\r\n\r\n", Outcome::rejected, Reason::status_mismatch},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", Outcome::no_response, Reason::connection_closed},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", Outcome::no_response,
         Reason::connection_closed},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n", Outcome::no_response,
         Reason::connection_closed},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\n\r\n0\r\n\r\n", Outcome::rejected,
         Reason::protocol_error},
        {"HTTP/1.1 200 OK\r\nContent-Le", Outcome::no_response, Reason::connection_closed},
        {"HTTP/1.1", Outcome::no_response, Reason::connection_closed},
        {"<html>HTTP/0.9</html>", Outcome::rejected, Reason::protocol_error},
        {"HTTP/7.3 200 OK\r\n\r\n", Outcome::rejected, Reason::protocol_error},
        {"HTTP/1.1 20 OK\r\n\r\n", Outcome::rejected, Reason::protocol_error},
        {"HTTP/1.1 OK\r\n\r\n", Outcome::rejected, Reason::protocol_error},
        {"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", Outcome::rejected, Reason::protocol_error},
        {"SSH-2.0-OpenSSH_9.2\r\n", Outcome::rejected, Reason::protocol_error},
        {"+PONG\r\n", Outcome::rejected, Reason::protocol_error},
        {"\x15\x03\x01\x00\x02\x02\x50", Outcome::rejected, Reason::protocol_error},
        {"", Outcome::no_response, Reason::connection_closed},
    }));
    const auto method = GENERATE(by_us, by_curl);
    CAPTURE(row.bytes, method);
    const auto result = answered(row.bytes, HttpSpec{.method = method});
    CAPTURE(result.detail);
    CHECK(to_string(result.outcome) == to_string(row.outcome));
    CHECK(to_string(result.reason) == to_string(row.reason));
    CHECK(result.took < 1s);
}

TEST_CASE(
    "http: closing, resetting, stalling and garbage before every step, and for every kind of probe after")
{
    const std::vector<Step> script{
        {.expect_end = "\r\n\r\n"},
        {.send = "HTTP/1.1 200 OK\r\n"},
        {.send = "Content-Length: 6\r\n"},
        {.send = "\r\n"},
        {.send = "abc"},
        {.send = "def"},
    };
    const auto at_step = GENERATE(range(0, 6));
    const auto fault = GENERATE(Fault::close, Fault::reset, Fault::stall, Fault::garbage);
    const auto method = GENERATE(by_us, by_curl);
    CAPTURE(at_step, static_cast<int>(fault), method);
    asio::io_context loop;
    ScriptedServer server{loop, script, fault, static_cast<std::size_t>(at_step)};
    auto spec = at(server.address());
    spec.method = method;
    const auto began = Clock::now();
    const auto result = run_now(loop, spec, fault == Fault::stall ? 150ms : 400ms);
    CAPTURE(result.detail, to_string(result.phase), to_string(result.reason));
    CHECK(Clock::now() - began < 1s);
    CHECK(server.connections() == 1);
    switch (fault) {
        case Fault::close:
        case Fault::reset:
            CHECK(result.outcome == Outcome::no_response);
            CHECK((result.reason == Reason::connection_closed || result.reason == Reason::connection_reset));
            break;
        case Fault::stall:
            CHECK(result.outcome == Outcome::no_response);
            CHECK(result.reason == Reason::timeout);
            CHECK(result.phase == (at_step < 2 ? Phase::request : Phase::reply));
            break;
        case Fault::garbage:
            // In the middle of a body, bytes are a body; in the middle of headers they are a header without
            // an end.
            if (at_step <= 1)
                CHECK(to_string(result.reason) == to_string(Reason::protocol_error));
            else if (at_step >= 4)
                CHECK(result.outcome == Outcome::ok);
            else
                CHECK(result.outcome != Outcome::ok);
            break;
        case Fault::endless: break;  // has tests of its own
    }
}

TEST_CASE("http: gigabytes, endless headers and drips are ended in time and in little memory")
{
    struct Row {
        const char* name;
        std::string first, again;
        Outcome outcome;
        Reason reason;
    };
    const auto row = GENERATE(values<Row>({
        {"body", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", std::string(65536, 'x'),
         Outcome::ok, Reason::none},
        {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "100\r\n" + std::string(256, 'x') + "\r\n", Outcome::ok, Reason::none},
        {"headers", "HTTP/1.1 200 OK\r\n", "X-Filler: " + std::string(1000, 'x') + "\r\n", Outcome::rejected,
         Reason::reply_too_large},
        {"one header", "HTTP/1.1 200 OK\r\nX-Filler: ", std::string(4096, 'x'), Outcome::rejected,
         Reason::reply_too_large},
        {"continues", "", "HTTP/1.1 100 Continue\r\n\r\n", Outcome::rejected, Reason::reply_too_large},
    }));
    CAPTURE(row.name);
    asio::io_context loop;
    std::vector<Step> script{reply(row.first)};
    script.insert(script.end(), (4U << 20) / row.again.size(), Step{.send = row.again});
    ScriptedServer server{loop, std::move(script)};
    auto spec = at(server.address());
    spec.method = GENERATE(by_us, by_curl);
    spec.body_matches = {Pattern::parse("x").value()};
    const auto result = run_now(loop, spec, 10s);
    CAPTURE(result.detail);
    CHECK(to_string(result.reason) == to_string(row.reason));
    CHECK(result.outcome == row.outcome);
    if (row.outcome == Outcome::ok)
        CHECK(fact(result, "body_bytes") == 1024 * 1024);
}

TEST_CASE("http: a body of one byte at a time, for ever, is a timeout in the reply")
{
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    asio::co_spawn(loop, drip(acceptor), asio::detached);
    const auto result =
        run_now(loop, at({.host = "127.0.0.1", .port = acceptor.local_endpoint().port()}), 200ms);
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == Reason::timeout);
    CHECK(result.phase == Phase::reply);
    CHECK(result.took < 400ms);
    CHECK(result.phase_took[std::size_t(Phase::reply)] > 100ms);
}

TEST_CASE("http: connections are kept when asked for, and only then")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good), reply(good), reply(good)}};
    auto spec = at(server.address());
    spec.method = GENERATE(by_us, by_curl);
    spec.reuse = GENERATE(false, true);
    for (int i = 0; i < 3; ++i)
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    CHECK(server.connections() == (spec.reuse ? 1 : 3));
}

TEST_CASE("http: a kept connection that the server has closed is no failure")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good)}, Fault::close};
    auto spec = at(server.address());
    spec.method = GENERATE(by_us, by_curl);
    spec.reuse = true;
    for (int i = 0; i < 3; ++i)
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    CHECK(server.connections() == 3);
}

TEST_CASE("http: without file descriptors left nothing is said about the target")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good)}};
    const auto spec = at(server.address());
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
    // UBSan needs descriptors too, when it meets a type with virtual functions for the first time: so it does
    // here.
    CHECK(verdict_of({EMFILE, boost::system::system_category()}).reason == Reason::resource_exhausted);
    CHECK(run_now(loop, at({.host = "127.0.0.1", .port = 1})).reason == Reason::connection_refused);

    const auto result = without_descriptors([&] { return run_now(loop, spec); });
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(to_string(result.reason) == "resource_exhausted");
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
}

TEST_CASE("http: many at once, half of them hanging, and a loop that ends in the middle")
{
    asio::io_context loop;
    ScriptedServer fine{loop, {reply(good)}, Fault::close};
    ScriptedServer hanging{loop, {}};
    int good_ones = 0, timeouts = 0;
    for (int i = 0; i < 90; ++i) {
        const auto timeout = i % 3 == 0 ? 100ms : Clock::duration{1h};
        auto spec = std::make_shared<const ProbeSpec>(at(i % 3 == 2 ? fine.address() : hanging.address()));
        asio::co_spawn(loop, run(spec, timeout), [&](std::exception_ptr, ProbeResult result) {
            good_ones += result.outcome == Outcome::ok;
            timeouts += result.reason == Reason::timeout;
        });
    }
    const auto give_up = Clock::now() + 20s;
    while (good_ones + timeouts < 60 && Clock::now() < give_up)
        loop.run_one_for(1s);
    CHECK(good_ones == 30);
    CHECK(timeouts == 30);  // 30 are still in flight when the loop is destroyed
}
