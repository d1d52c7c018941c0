#include "probes/resolver.hpp"
#include "tests/catch.hpp"
#include "tests/unit/scripted_server.hpp"
#include "tests/unit/silent_port.hpp"
#include "tests/unit/temporary_file.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <functional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

// GET goes over a socket of ours, what needs more than that through libcurl: both must say the same.
constexpr auto by_us = "GET";
constexpr auto by_curl = "OPTIONS";

const std::string good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

Step reply(std::string bytes) { return {.send = std::move(bytes), .expect_end = "\r\n\r\n"}; }

HttpSpec at(const Address& address, const std::string& path = "/")
{
    return {.url = Url::parse("http://" + address.text() + path).value()};
}

double fact(const ProbeResult& result, std::string_view name)
{
    for (const auto& each : result.facts)
        if (each.name == name)
            return each.value;
    return -1;
}

std::string header(const std::string& request, const std::string& name)
{
    const auto begin = request.find("\r\n" + name + ": ");
    if (begin == request.npos)
        return {};
    const auto value = begin + name.size() + 4;
    return request.substr(value, request.find("\r\n", value) - value);
}

template <class Acceptor>
asio::awaitable<void> answer_all(Acceptor& acceptor)
{
    for (;;) {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        co_await asio::async_write(socket, asio::buffer(good), asio::use_awaitable);
    }
}

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

// Runs one attempt against a peer that gives this one answer and closes.
ProbeResult answered(std::string bytes, HttpSpec spec = {}, Clock::duration timeout = 2s)
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(std::move(bytes))}, Fault::close};
    spec.url = at(server.address()).url;
    return run_now(loop, std::move(spec), timeout);
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

TEST_CASE("http: nobody there")
{
    asio::io_context loop;
    const auto result = run_now(loop, at({.host = "127.0.0.1", .port = 1}));
    CHECK(result.outcome == Outcome::no_response);
    CHECK(to_string(result.reason) == "connection_refused");
    CHECK(result.phase == Phase::connect);
}

TEST_CASE("http: a name's addresses are tried in turn, and IPv6 works")
{
    asio::io_context loop;
    asio::ip::tcp::acceptor v6{loop};
    const asio::ip::tcp::endpoint any_port{asio::ip::make_address("::1"), 0};
    v6.open(any_port.protocol());
    v6.bind(any_port);
    v6.listen();
    const auto port = v6.local_endpoint().port();
    asio::co_spawn(loop, answer_all(v6), asio::detached);
    const auto host = GENERATE("[::1]", "localhost");
    const auto result = run_now(
        loop,
        HttpSpec{.url =
                     Url::parse("http://" + std::string{host} + ":" + std::to_string(port) + "/").value()});
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
}

TEST_CASE("http: of several addresses, the one that says something about the target counts")
{
    // A link-local address without its interface fails with EINVAL, and without IPv6 with EADDRNOTAVAIL:
    // either says something about us only (ipv6(7)).
    const auto addresses =
        GENERATE("127.0.0.1 two\nfe80::1 two\n", "fe80::1 two\n127.0.0.1 two\n",
                 "127.0.0.1 two\n255.255.255.255 two\n", "255.255.255.255 two\n127.0.0.1 two\n");
    CAPTURE(addresses);
    asio::io_context loop;
    TemporaryFile hosts{addresses};
    configure_resolver(loop, {.servers = "127.0.0.1:1", .hosts = hosts.path()});
    const auto closed = run_now(loop, HttpSpec{.url = Url::parse("http://two:1/").value()});
    CAPTURE(closed.detail);
    CHECK(closed.outcome == Outcome::no_response);
    CHECK(to_string(closed.reason) == "connection_refused");

    ScriptedServer server{loop, {reply(good)}};
    const auto url = "http://two:" + std::to_string(server.address().port) + "/";
    CHECK(run_now(loop, HttpSpec{.url = Url::parse(url).value()}).outcome == Outcome::ok);
}

TEST_CASE("http: an address that swallows packets leaves time for the next one")
{
    asio::io_context loop;
    SilentPort silent{loop, "127.0.0.1"};
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.2"), silent.address().port}};
    asio::co_spawn(loop, answer_all(acceptor), asio::detached);
    TemporaryFile hosts{"127.0.0.1 two\n127.0.0.2 two\n"};
    configure_resolver(loop, {.servers = "127.0.0.1:1", .hosts = hosts.path()});
    const auto url = "http://two:" + std::to_string(silent.address().port) + "/";
    const auto result = run_now(loop, HttpSpec{.url = Url::parse(url).value()}, 1s);
    CAPTURE(result.detail, to_string(result.reason));
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.took > 400ms);
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

TEST_CASE("http: checks of the answer")
{
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Two: a\r\nX-two: b\r\n"
        "X-Empty:\r\nContent-Length: 28\r\n\r\n{\"status\": \"ok\", \"count\": 3}";
    const auto regex = [](const char* text) { return Pattern::parse(text).value(); };
    struct Row {
        HttpSpec spec;
        Reason reason;
        const char* detail;
    };
    const auto row = GENERATE_COPY(values<Row>({
        {{.status = StatusRanges::parse("404").value()},
         Reason::status_mismatch,
         "status 200, expected 404: {\"status\": \"ok\", \"count\": 3}"},
        {{.body_matches = {regex("ok"), regex("3")}}, Reason::none, "status 200"},
        {{.body_matches = {regex("^ok$")}}, Reason::body_mismatch, "the body does not match ^ok$: {"},
        {{.body_not_matches = {regex("error")}}, Reason::none, ""},
        {{.body_not_matches = {regex("error"), regex("ok")}}, Reason::body_mismatch, "the body matches ok"},
        {{.header_checks = {{.name = "content-type", .matches = regex("json")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .matches = regex("^b$")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .not_matches = regex("^b$")}}},
         Reason::header_mismatch,
         "header X-Two matches"},
        {{.header_checks = {{.name = "X-Empty"}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Other"}}}, Reason::header_mismatch, "header X-Other is missing"},
        {{.header_checks = {{.name = "X-Other", .not_matches = regex("x")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Other", .absent = true}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .absent = true}}},
         Reason::header_mismatch,
         "header X-Two is there"},
        {{.header_checks = {{.name = "Content-Type", .matches = regex("html")}}},
         Reason::header_mismatch,
         "header Content-Type does not match html"},
        {{.json = {{"/status", "ok"}, {"/count", "3"}}}, Reason::none, ""},
        {{.json = {{"/count", "4"}}}, Reason::json_mismatch, "/count is 3, expected 4"},
        {{.json = {{"/count", "3"}}, .max_body = ByteSize{10}},
         Reason::reply_too_large,
         "the JSON body is larger"},
        {{.body_matches = {regex("count")}, .max_body = ByteSize{10}},
         Reason::body_mismatch,
         "the body does not match count in the first 10 bytes"},
        {{.max_body = ByteSize{0}}, Reason::none, ""},
        {{.http_version = HttpVersion::http1, .certificate_min_days = 1},
         Reason::tls_failure,
         "it answered without"},
    }));
    CAPTURE(row.detail);
    const auto result = answered(answer, row.spec);
    CAPTURE(result.detail);
    CHECK(to_string(result.reason) == to_string(row.reason));
    CHECK(result.outcome == (row.reason == Reason::none ? Outcome::ok : Outcome::rejected));
    CHECK(result.detail.starts_with(row.detail));
}

TEST_CASE("http: what a server repeats of our secrets is not shown")
{
    const auto echo = [](HttpSpec spec) {
        return answered("HTTP/1.1 500 X\r\nContent-Length: 26\r\n\r\ninvalid token s3cr3t\x1b[31m!", spec)
            .detail;
    };
    CHECK(echo({}) == "status 500, expected 200-299: invalid token s3cr3t?[31m!");
    CHECK(echo({.bearer_token = Secret{"s3cr3t"}}) == "status 500, expected 200-299");
    CHECK(echo({.username = "u", .password = Secret{"s3cr3t"}}) == "status 500, expected 200-299");
    CHECK(echo({.headers = {{"X-Key", "s3cr3t"}}}) == "status 500, expected 200-299");
    CHECK(echo({.body = "s3cr3t"}) == "status 500, expected 200-299");
}

TEST_CASE("http: wrong credentials")
{
    const HttpSpec spec{.username = "u", .password = Secret{"p"}};
    const auto result = answered("HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n", spec);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == Reason::authentication_failed);
}

TEST_CASE("http: a unix socket")
{
    asio::io_context loop;
    const std::string path = "/tmp/keepwell-http-test-" + std::to_string(::getpid()) + ".sock";
    HttpSpec spec{.url = Url::parse("http://docker/_ping").value(), .unix_socket = path};
    SECTION("that is there")
    {
        ::unlink(path.c_str());
        asio::local::stream_protocol::acceptor acceptor{loop, path};
        asio::co_spawn(loop, answer_all(acceptor), asio::detached);
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    }
    SECTION("that nobody listens to any more")
    {
        asio::local::stream_protocol::acceptor{loop, path}.close();
        const auto result = run_now(loop, spec);
        CHECK(to_string(result.reason) == "connection_refused");
    }
    SECTION("that is missing")
    {
        const auto result = run_now(loop, spec);
        CHECK(result.outcome == Outcome::no_response);
        CHECK(to_string(result.reason) == "connection_refused");
        CHECK(result.detail.contains(path));
    }
    ::unlink(path.c_str());
}

TEST_CASE("http: another address than the URL's")
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(good)}};
    HttpSpec spec{.url = Url::parse("http://shop.example/").value(), .connect_to = server.address().text()};
    SECTION("with its port")
    {
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
        CHECK(header(server.received(), "Host") == "shop.example");
    }
    SECTION("with the URL's port")
    {
        spec.url = Url::parse("http://shop.example:" + std::to_string(server.address().port) + "/").value();
        spec.connect_to = GENERATE("127.0.0.1", "localhost");
        CHECK(run_now(loop, spec).outcome == Outcome::ok);
    }
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

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const auto result = run_now(loop, spec);
    ::setrlimit(RLIMIT_NOFILE, &before);
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

TEST_CASE("http: what cannot work is told before it is tried")
{
    const HttpSpec fine{.url = Url::parse("https://web/").value()};
    CHECK(fine.faults().empty());
    const auto [change, words] = GENERATE(table<std::function<void(HttpSpec&)>, std::string>({
        {[](HttpSpec& s) { s.method = "GET /"; }, "method"},
        {[](HttpSpec& s) { s.method = ""; }, "method"},
        {[](HttpSpec& s) { s.method = "CONNECT"; }, "method"},
        {[](HttpSpec& s) { s.headers = {{"A b", "x"}}; }, "not a header name"},
        {[](HttpSpec& s) { s.headers = {{"A", "x\r\nB: y"}}; }, "control characters"},
        {[](HttpSpec& s) { s.headers = {{"Content-Length", "3"}}; }, "Content-Length"},
        {[](HttpSpec& s) { s.headers = {{"authorization", "x"}}, s.bearer_token = Secret{"t"}; },
         "Authorization"},
        {[](HttpSpec& s) { s.bearer_token = Secret{"a\nb"}; }, "bearer_token"},
        {[](HttpSpec& s) { s.bearer_token = Secret{"a"}, s.username = "u"; }, "exclude"},
        {[](HttpSpec& s) { s.username = "a:b"; }, "username"},
        {[](HttpSpec& s) { s.unix_socket = "/x", s.connect_to = "y"; }, "exclude"},
        {[](HttpSpec& s) { s.unix_socket = std::string(200, 'x'); }, "unix_socket"},
        {[](HttpSpec& s) { s.connect_to = "a b"; }, "connect_to"},
        {[](HttpSpec& s) { s.connect_to = "a:b"; }, "connect_to"},
        {[](HttpSpec& s) { s.json = {{"status", "ok"}}; }, "json"},
        {[](HttpSpec& s) {
             s.header_checks = {{.name = "X", .matches = Pattern::parse("x").value(), .absent = true}};
         },
         "absent"},
        {[](HttpSpec& s) {
             s.url = Url::parse("http://web/").value(), s.follow_redirects = false, s.tls.insecure = true;
         },
         "https"},
    }));
    CAPTURE(words);
    auto spec = fine;
    change(spec);
    const auto faults = spec.faults();
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].contains(words));
}
