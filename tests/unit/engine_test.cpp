#include "tests/catch.hpp"

#include "probes/engine_stream.hpp"
#include "probes/engine_way.hpp"
#include "tests/unit/scripted_engine.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <cstdlib>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Came<EngineReply> call_now(asio::io_context& loop, const EngineOptions& options, EngineRequest request,
                           Clock::duration limit = 5s)
{
    return await_now(loop, Engine{options}.call(std::move(request), Clock::now() + limit));
}

std::string huge_reply()
{
    std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 34000000\r\n\r\n";
    reply.resize(33'600'000, ' ');
    return reply;
}

// A variable of the environment for as long as it lives.
class Variable {
public:
    Variable(const char* name, const std::string& value) : name_{name} { ::setenv(name, value.c_str(), 1); }
    ~Variable() { ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
};

std::vector<std::string> split(std::string_view bytes, std::size_t piece)
{
    std::vector<std::string> objects;
    ObjectSplitter splitter;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
        splitter.feed(bytes.substr(0, piece), [&](std::string_view each) { objects.emplace_back(each); });
    return objects;
}

}  // namespace

TEST_CASE("engine: a call gets its reply, whatever the status, by the version that both sides know")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /containers/json", 200, "[]");
    engine.answer("POST /containers/web/restart", 409, R"({"message":"removal in progress"})");

    const auto list = call_now(loop, engine.options(), {.path = "/containers/json?all=1"});
    REQUIRE(list.value);
    CHECK(list.value->status == 200);
    CHECK(list.value->body == "[]");
    const auto restart = call_now(
        loop, engine.options(), {.method = "POST", .path = "/containers/web/restart", .body = R"({"a":1})"});
    REQUIRE(restart.value);
    CHECK(restart.value->status == 409);
    CHECK(message_of(*restart.value) == "removal in progress");
    CHECK(engine.asked() == std::vector<std::string>{"GET /_ping", "GET /v1.41/containers/json?all=1",
                                                     "POST /v1.41/containers/web/restart"});
    CHECK(engine.bodies().back() == R"({"a":1})");
}

TEST_CASE(
    "engine: the version is the newest that both know, and is asked for again when the engine is another")
{
    auto [theirs, agreed] = GENERATE(table<std::string, std::string>({
        {"1.24", "/v1.24/info"},
        {"1.44", "/v1.44/info"},
        {"1.51", "/v1.51/info"},
        {"1.99", "/v1.51/info"},
        {"2.0", "/v1.51/info"},
    }));
    asio::io_context loop;
    ScriptedEngine engine{loop};
    const auto too_new = http_reply(400, R"({"message":"client version 1.41 is too new. Maximum is 1.40"})");
    engine.answer("GET /info", too_new);
    engine.answer("GET /info", 200);
    engine.answer("GET /_ping", "HTTP/1.0 200 OK\r\napi-version: " + theirs + "\r\n\r\nOK");

    const auto came = call_now(loop, engine.options(), {.path = "/info"});
    REQUIRE(came.value);
    CHECK(came.value->status == 200);
    CHECK(engine.asked() ==
          std::vector<std::string>{"GET /_ping", "GET /v1.41/info", "GET /_ping", "GET " + agreed});
}

TEST_CASE("engine: a proxy that lets /version through but not /_ping will do")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.always("GET /_ping", "HTTP/1.0 403 Forbidden\r\n\r\n<html>403</html>");
    engine.answer("GET /version", 200, R"({"ApiVersion":"1.43"})");
    engine.answer("GET /info", 200);
    const auto came = call_now(loop, engine.options(), {.path = "/info"});
    REQUIRE(came.value);
    CHECK(engine.asked() == std::vector<std::string>{"GET /_ping", "GET /version", "GET /v1.43/info"});
}

TEST_CASE("engine: who speaks HTTP but is no Engine is told so")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.always("GET /_ping", "HTTP/1.0 200 OK\r\n\r\npong");
    engine.answer("GET /version", GENERATE("HTTP/1.0 200 OK\r\n\r\n1.0", "HTTP/1.0 404 No\r\n\r\n",
                                           "HTTP/1.0 200 OK\r\n\r\n{\"ApiVersion\":7}"));
    const auto came = call_now(loop, engine.options(), {.path = "/info"});
    REQUIRE(came.failure);
    CHECK(came.failure->reason == Reason::protocol_error);
    CHECK_THAT(came.failure->detail, ContainsSubstring("does not answer as a Docker Engine"));
}

TEST_CASE("engine: what is no Engine of ours is told apart")
{
    auto [reply, outcome, reason, detail] = GENERATE(table<std::string, Outcome, Reason, std::string>({
        {"HTTP/1.0 403 Forbidden\r\n\r\n<html>no</html>", Outcome::not_attempted, Reason::permission_denied,
         "GET /info is refused (status 403)"},
        {"HTTP/1.0 503 Service Unavailable\r\n\r\nNo server is available", Outcome::no_response,
         Reason::unreachable, "finds no engine"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n", Outcome::rejected, Reason::protocol_error,
         "Content-Length"},
        {"SSH-2.0-OpenSSH_9.2\r\n", Outcome::rejected, Reason::protocol_error, "not HTTP/1"},
        {huge_reply(), Outcome::rejected, Reason::reply_too_large, "32 MiB"},
    }));
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /info", reply);
    const auto came = call_now(loop, engine.options(), {.path = "/info?secret=1"}, 20s);
    REQUIRE(came.failure);
    CHECK(came.failure->outcome == outcome);
    CHECK(came.failure->reason == reason);
    CHECK_THAT(came.failure->detail, ContainsSubstring(detail));
    CHECK_THAT(came.failure->detail, ContainsSubstring("Docker Engine at unix:///"));
    CHECK_FALSE(came.failure->detail.contains("secret"));
}

TEST_CASE("engine: a swarm's 503 is a reply of the Engine's")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /nodes", 503, R"({"message":"This node is not a swarm manager."})");
    const auto came = call_now(loop, engine.options(), {.path = "/nodes"});
    REQUIRE(came.value);
    CHECK(came.value->status == 503);
}

TEST_CASE("engine: its end is told in words when there is none")
{
    asio::io_context loop;
    const Folder folder;
    const auto path = folder / "docker.sock";
    const auto call = [&] { return call_now(loop, {.host = "unix://" + path}, {.path = "/info"}); };

    auto came = call();
    REQUIRE(came.failure);
    CHECK(came.failure->outcome == Outcome::no_response);
    CHECK(came.failure->reason == Reason::unreachable);
    CHECK_THAT(came.failure->detail, ContainsSubstring("there is no socket " + path));

    {
        const asio::local::stream_protocol::acceptor gone{loop, {path}};
    }
    came = call();
    REQUIRE(came.failure);
    CHECK(came.failure->reason == Reason::connection_refused);
    CHECK_THAT(came.failure->detail, ContainsSubstring("is the engine running?"));
}

TEST_CASE("engine: a listener that accepts nobody any more is waited for, but not longer than the deadline")
{
    asio::io_context loop;
    const Folder folder;
    const auto path = folder / "docker.sock";
    asio::local::stream_protocol::acceptor frozen{loop};
    frozen.open();
    frozen.bind({path});
    frozen.listen(0);
    std::vector<asio::local::stream_protocol::socket> queue;
    for (int i = 0; i < 2; ++i) {
        auto& socket = queue.emplace_back(loop);
        socket.open();
        socket.non_blocking(true);
        boost::system::error_code full;
        socket.connect({path}, full);
    }
    const auto came = call_now(loop, {.host = "unix://" + path}, {.path = "/info"}, 300ms);
    REQUIRE(came.failure);
    CHECK(came.failure->reason == Reason::timeout);
    CHECK(came.took < 2s);
}

TEST_CASE("engine: wherever a reply breaks off, the answer is right and in time")
{
    const auto reply = http_reply(200, R"({"State":"running"})");
    const auto after = GENERATE_COPY(range(std::size_t{0}, reply.size()));
    const auto fault = GENERATE(Fault::close, Fault::stall, Fault::garbage);
    const bool in_body = after >= reply.size() - 19;
    if (fault == Fault::garbage && in_body)
        return;  // then it is the body
    const std::string at = GENERATE("GET /_ping", "GET /info");
    if (at == "GET /_ping" && after >= http_reply(200, "OK").size())
        return;
    if (fault != Fault::close && after % 16 != 0)
        return;  // these take their time
    CAPTURE(after, at);
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /info", reply);
    engine.break_at({.at = at, .after = after, .fault = fault});
    const auto came = call_now(loop, engine.options(), {.path = "/info"}, 200ms);
    CHECK(came.took < 2s);
    if (fault == Fault::garbage) {  // in a header it may be passed over, until the peer closes
        if (came.failure)
            CHECK((came.failure->reason == Reason::protocol_error ||
                   came.failure->reason == Reason::connection_closed));
        else
            CHECK(at == "GET /_ping");  // whose body does not matter
        return;
    }
    REQUIRE(came.failure);
    CHECK(came.failure->outcome == Outcome::no_response);
    CHECK(came.failure->reason == (fault == Fault::close ? Reason::connection_closed : Reason::timeout));
}

TEST_CASE("engine: chunks, and a connection that ends with the body, make whole replies")
{
    const std::string reply =
        GENERATE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n",
                 "HTTP/1.0 200 OK\r\n\r\n[1,2]",
                 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]");
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /info", reply);
    const auto came = call_now(loop, engine.options(), {.path = "/info"});
    REQUIRE(came.value);
    CHECK(came.value->body == "[1,2]");
}

TEST_CASE("engine: objects of a stream come one by one, however they were cut, until it ends")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /events",
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "8\r\n{\"a\":1}{\r\n7\r\n\"b\":2}\n\r\n0\r\n\r\n");
    std::vector<std::string> objects;
    bool ended = false;
    asio::co_spawn(loop,
                   Engine{engine.options()}.stream(
                       "/events", [&](std::string_view each) { objects.emplace_back(each); }),
                   [&](std::exception_ptr error) { ended = !error; });
    CHECK(run_until(loop, [&] { return ended; }));
    CHECK(objects == std::vector<std::string>{R"({"a":1})", R"({"b":2})"});
}

TEST_CASE("engine: a stream may be silent, is ended by its caller, and its failure is told")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    auto options = engine.options();
    options.timeout = 200ms;
    const auto begin = std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n"};
    engine.answer("GET /events", begin);
    engine.break_at({.at = "GET /events", .after = begin.size(), .fault = Fault::stall, .times = 1});

    asio::cancellation_signal stop;
    int objects = 0;
    std::exception_ptr ended;
    asio::co_spawn(
        loop, Engine{options}.stream("/events", [&](std::string_view) { ++objects; }),
        asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr error) { ended = error; }));
    CHECK(run_until(loop, [&] { return objects == 1; }));
    CHECK_FALSE(run_until(loop, [&] { return bool(ended); }, 500ms));
    stop.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(loop, [&] { return bool(ended); }));
    CHECK_THROWS_AS(std::rethrow_exception(ended), boost::system::system_error);

    engine.break_at({});
    ended = nullptr;
    asio::co_spawn(loop, Engine{options}.stream("/events", [](std::string_view) {}),
                   [&](std::exception_ptr error) { ended = error; });
    REQUIRE(run_until(loop, [&] { return bool(ended); }));
    try {
        std::rethrow_exception(ended);
    } catch (const Failure& failure) {
        CHECK(failure.verdict.reason == Reason::connection_closed);
    }
}

TEST_CASE("engine: a stream that does not begin, or is refused, is a failure")
{
    auto [reply, reason] = GENERATE(table<std::string, Reason>({
        {http_reply(500, R"({"message":"boom"})"), Reason::status_mismatch},
        {http_reply(403, "no"), Reason::permission_denied},
        {"", Reason::timeout},
    }));
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /events", reply);
    if (reply.empty())
        engine.break_at({.at = "GET /events", .fault = Fault::stall});
    auto options = engine.options();
    options.timeout = 200ms;
    std::optional<Verdict> failed;
    asio::co_spawn(loop, Engine{options}.stream("/events", [](std::string_view) {}),
                   [&](std::exception_ptr error) {
                       try {
                           std::rethrow_exception(error);
                       } catch (const Failure& failure) {
                           failed = failure.verdict;
                       }
                   });
    REQUIRE(run_until(loop, [&] { return failed.has_value(); }));
    CHECK(failed->reason == reason);
}

TEST_CASE("engine: a call that is cancelled ends at once, as cancelled")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.break_at({.at = "GET /_ping", .fault = Fault::stall});
    asio::cancellation_signal stop;
    std::exception_ptr ended;
    asio::co_spawn(loop, Engine{engine.options()}.call({.path = "/info"}),
                   asio::bind_cancellation_slot(
                       stop.slot(), [&](std::exception_ptr error, EngineReply) { ended = error; }));
    run_until(loop, [&] { return !engine.asked().empty(); });
    stop.emit(asio::cancellation_type::terminal);
    REQUIRE(run_until(loop, [&] { return bool(ended); }, 1s));
    CHECK_THROWS_AS(std::rethrow_exception(ended), boost::system::system_error);
}

TEST_CASE("engine: where it is, as docker's own client understands the environment")
{
    const Variable host{"DOCKER_HOST", "tcp://engine:2376"};
    auto way = way_of({});
    REQUIRE(way);
    CHECK(way->address == Address{.host = "engine", .port = 2376});
    CHECK_FALSE(way->tls);
    {
        const Variable folder{"DOCKER_CERT_PATH", "/certs"};
        way = way_of({});
        REQUIRE(way);
        CHECK(way->tls == TlsOptions{.ca_file = "/certs/ca.pem",
                                     .certificate_file = "/certs/cert.pem",
                                     .key_file = "/certs/key.pem",
                                     .insecure = true});
        const Variable verify{"DOCKER_TLS_VERIFY", "1"};
        CHECK_FALSE(way_of({})->tls->insecure);
        CHECK_FALSE(way_of({.host = "tcp://other:2375"})->tls);
    }
}

TEST_CASE("engine: hosts that are understood, and those that are not")
{
    auto [text, socket, address, tls] = GENERATE(table<std::string, std::string, std::string, bool>({
        {"unix:///run/docker.sock", "/run/docker.sock", "", false},
        {"/run/podman/podman.sock", "/run/podman/podman.sock", "", false},
        {"/x", "/x", "", false},
        {"unix:///x", "/x", "", false},
        {"tcp://a:1", "", "a:1", false},
        {"tcp://proxy:2375", "", "proxy:2375", false},
        {"tcp://proxy:2375/", "", "proxy:2375", false},
        {"tcp://proxy", "", "proxy:2375", false},
        {"https://proxy", "", "proxy:2376", true},
        {"http://[::1]:99", "", "[::1]:99", false},
    }));
    const auto way = way_of({.host = text});
    REQUIRE(way);
    CHECK(way->socket == socket);
    CHECK(way->address.text() == address);
    CHECK(way->tls.has_value() == tls);

    const std::string bad = GENERATE("ssh://me@host", "unix://relative", "tcp://", "tcp://host:0",
                                     "npipe:////./pipe", "tcp://host:2375/path", "docker");
    CHECK_FALSE(way_of({.host = bad}));
    CHECK_FALSE(way_of({.host = "unix:///" + std::string(120, 'x')}));
    CHECK_FALSE(EngineOptions{.host = bad}.faults().empty());
}

TEST_CASE("engine: a bad host is our own fault, and told when it is used")
{
    asio::io_context loop;
    const auto came = call_now(loop, {.host = "ssh://host"}, {.path = "/info"});
    REQUIRE(came.failure);
    CHECK(came.failure->outcome == Outcome::not_attempted);
    CHECK(came.failure->reason == Reason::bad_configuration);
}

TEST_CASE("engine: a stream is cut into objects at the right places")
{
    const std::string text = "{\"a\":\"}{\\\"\"} \n\x1e{\"b\":[{},{\"c\":\"\\\\\"}]}\r\n{}";
    const auto piece = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1000});
    CHECK(split(text, piece) ==
          std::vector<std::string>{"{\"a\":\"}{\\\"\"}", "{\"b\":[{},{\"c\":\"\\\\\"}]}", "{}"});
}

TEST_CASE("engine: what is no object, or has no end, ends a stream")
{
    CHECK_THROWS_AS(split("nonsense", 3), Failure);
    CHECK_THROWS_AS(split("[{}]", 1), Failure);
    const auto large = "{\"a\":\"" + std::string(ObjectSplitter::most_bytes, 'x');
    CHECK_THROWS_AS(split(large, 65536), Failure);
}

TEST_CASE("engine: the frames of a program's output are taken apart")
{
    using namespace std::string_literals;
    const auto text = "\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\0\2\0\0\0\0\0\1\2"s + std::string(258, 'x');
    const auto piece = GENERATE(std::size_t{1}, std::size_t{9}, std::size_t{1000});
    std::string output;
    FrameReader reader;
    for (std::string_view left = text; !left.empty(); left.remove_prefix(std::min(piece, left.size())))
        reader.feed(left.substr(0, piece), [&](std::string_view each) { output += each; });
    CHECK(output == "hello" + std::string(258, 'x'));
    CHECK(reader.is_between_frames());
    CHECK_THROWS_AS(reader.feed("plain text of a terminal", [](std::string_view) {}), Failure);
}

TEST_CASE("engine: names and filters cannot leave their place in a path")
{
    CHECK(url_encoded("web-1_a.b~") == "web-1_a.b~");
    CHECK(url_encoded("../x?a=b&{\"c\":1}") == "..%2Fx%3Fa%3Db%26%7B%22c%22%3A1%7D");
}
