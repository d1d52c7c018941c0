#include "tests/catch.hpp"

#include "probes/container.hpp"
#include "tests/unit/scripted_engine.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

// What the Engine says of a container in this state.
std::string container_json(const std::string& state)
{
    return R"({"Id":"abc","Name":"/shop-web-1","RestartCount":3,"State":{)" + state +
           R"(},"Config":{"Image":"web:1","Labels":{"com.docker.compose.service":"web","n":1}},"HostConfig":{}})";
}

std::string health_json(const std::string& status)
{
    return R"("Status":"running","Health":{"Status":")" + status +
           R"(","FailingStreak":4,"Log":[{"Output":"old"},{"Output":"error: no route\n"}]})";
}

DockerSpec spec_of(const ScriptedEngine& engine)
{
    return {.container = "shop-web-1", .engine = engine.options()};
}

std::string frame(const std::string& output, char stream = 1)
{
    return std::string{stream} + "\0\0\0\0\0"s + static_cast<char>(output.size() >> 8) +
           static_cast<char>(output.size() & 255) + output;
}

std::string raw_stream(const std::string& frames)
{
    return "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n" + frames;
}

ExecSpec exec_of(const ScriptedEngine& engine)
{
    return {.argv = {"redis-cli", "ping"}, .container = "shop-web-1", .engine = engine.options()};
}

// An Engine on which `redis-cli ping` prints this and ends with this.
void run_program(ScriptedEngine& engine, const std::string& frames, int exit_code)
{
    engine.always("POST /containers/shop-web-1/exec", http_reply(201, R"({"Id":"e1"})"));
    engine.always("POST /exec/e1/start", raw_stream(frames));
    engine.always("GET /exec/e1/json",
                  http_reply(200, R"({"Running":false,"ExitCode":)" + std::to_string(exit_code) + "}"));
}

}  // namespace

TEST_CASE("docker: the state comes first, then what the health check says")
{
    auto [state, outcome, reason, detail] = GENERATE(table<std::string, Outcome, Reason, std::string>({
        {R"("Status":"running")", Outcome::ok, Reason::none, "running"},
        {health_json("healthy"), Outcome::ok, Reason::none, "healthy"},
        {health_json("starting"), Outcome::rejected, Reason::starting_up, "not succeeded yet"},
        {health_json("unhealthy"), Outcome::rejected, Reason::unhealthy, "4 times in a row: error: no route"},
        {health_json("none"), Outcome::ok, Reason::none, "running"},
        {R"("Status":"paused","Health":{"Status":"unhealthy"})", Outcome::no_response, Reason::not_running,
         "paused"},
        {R"("Status":"exited","ExitCode":137,"OOMKilled":true,"Health":{"Status":"healthy"})",
         Outcome::no_response, Reason::not_running, "exited with code 137, killed for want of memory"},
        {R"("Status":"restarting","ExitCode":1)", Outcome::no_response, Reason::not_running,
         "restarting after exit code 1"},
        {R"("Status":"created","Error":"port is already allocated")", Outcome::no_response,
         Reason::not_running, "created: port is already allocated"},
    }));
    CAPTURE(state);
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /containers/shop-web-1/json", 200, container_json(state));
    const auto result = run_now(loop, spec_of(engine));
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK_THAT(result.detail, ContainsSubstring(detail));
    CHECK(result.facts.front() == Fact{"restart_count", 3});
}

TEST_CASE("docker: without `health` it only has to run")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /containers/shop-web-1/json", 200, container_json(health_json("unhealthy")));
    auto spec = spec_of(engine);
    spec.health = false;
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
}

TEST_CASE("docker: a container that is not there is not running")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /containers/shop-web-1/json", 404, R"({"message":"No such container: shop-web-1"})");
    const auto result = run_now(loop, spec_of(engine));
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == Reason::not_running);
}

TEST_CASE("docker: an Engine that does not answer properly says nothing about the container")
{
    auto [how, reply] = GENERATE(table<Break, std::string>({
        {{.at = "GET /containers/shop-web-1/json", .fault = Fault::stall}, ""},
        {{.at = "GET /containers/shop-web-1/json", .fault = Fault::close}, ""},
        {{.at = "GET /_ping", .fault = Fault::garbage}, ""},
        {{}, http_reply(500, R"({"message":"boom"})")},
        {{}, http_reply(200, "[]")},
        {{}, http_reply(200, R"({"State":{"Status":7}})")},
        {{}, http_reply(200, R"({"State":)")},
    }));
    asio::io_context loop;
    ScriptedEngine engine{loop};
    engine.answer("GET /containers/shop-web-1/json", reply);
    engine.break_at(how);
    const auto result = run_now(loop, spec_of(engine), 300ms);
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(result.reason == Reason::engine_unavailable);
    CHECK(result.took < 2s);
}

TEST_CASE("docker: what is said of a container is taken as it comes, whatever is missing")
{
    const auto some = container_in(container_json(R"("Status":"running","ExitCode":1e99)"));
    CHECK(some.name == "shop-web-1");
    CHECK(some.label("com.docker.compose.service") == "web");
    CHECK(some.label("n").empty());
    CHECK(some.exit_code == 0);
    CHECK_FALSE(some.stop_timeout);
    const auto more = container_in(R"({"State":{"Status":"dead"},"Config":{"StopTimeout":90},
        "HostConfig":{"NetworkMode":"container:x"},"GraphDriver":{"Data":{"UpperDir":"/u"}}})");
    CHECK(more.stop_timeout == 90s);
    CHECK(more.network_mode == "container:x");
    CHECK(more.upper_directory == "/u");
}

TEST_CASE("exec in a container: the exit code decides, the output of both streams is kept")
{
    auto [frames, exit_code, outcome, reason, output] =
        GENERATE(table<std::string, int, Outcome, Reason, std::string>({
            {frame("PO") + frame("NG\n"), 0, Outcome::ok, Reason::none, "PONG\n"},
            {frame("no\n") + frame("error: refused\n", 2), 1, Outcome::rejected, Reason::exit_code,
             "no\nerror: refused\n"},
            {frame("OCI runtime exec failed: no such file\r\n"), 127, Outcome::not_attempted,
             Reason::not_executable, "OCI runtime exec failed: no such file\n"},
            {"", 0, Outcome::ok, Reason::none, ""},
        }));
    asio::io_context loop;
    ScriptedEngine engine{loop};
    run_program(engine, frames, exit_code);
    const auto result = run_now(loop, exec_of(engine));
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK(result.output == output);
}

TEST_CASE(
    "exec in a container: user, directory and environment are the Engine's to set, secrets do not come back")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    run_program(engine, frame("hunter2hunter2 is it\n"), 0);
    auto spec = exec_of(engine);
    spec.argv.clear();
    spec.shell = "env";
    spec.user = "redis:redis";
    spec.directory = "/data";
    spec.environment = {{"REDISCLI_AUTH_PASSWORD", "hunter2hunter2"}};
    const auto result = run_now(loop, spec);
    CHECK(engine.bodies().at(1) ==
          R"({"AttachStdout":true,"AttachStderr":true,"Cmd":["/bin/sh","-c","env"],)"
          R"("Env":["REDISCLI_AUTH_PASSWORD=hunter2hunter2"],"WorkingDir":"/data","User":"redis:redis"})");
    CHECK_FALSE(result.output.contains("hunter2"));
}

TEST_CASE("exec in a container: only the end of much output is kept")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    std::string frames;
    for (int i = 0; i < 300; ++i)
        frames += frame(std::string(30'000, 'x') + "\n");
    run_program(engine, frames + frame("the end\n"), 0);
    const auto result = run_now(loop, exec_of(engine), 10s);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.output.size() <= 4096);
    CHECK(result.output.ends_with("the end\n"));
}

TEST_CASE("exec in a container: what hangs is told so, and is not started again until it has ended")
{
    asio::io_context loop;
    ScriptedEngine engine{loop};
    run_program(engine, frame("working\n"), 0);
    engine.break_at({.at = "POST /exec/e1/start", .after = 9999, .fault = Fault::stall, .times = 1});
    auto result = run_now(loop, exec_of(engine), 300ms);
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == Reason::timeout);
    CHECK(result.output == "working\n");
    CHECK_THAT(result.detail, ContainsSubstring("no way to end it"));

    engine.always("GET /exec/e1/json", http_reply(200, R"({"Running":true,"ExitCode":null})"));
    const auto calls = engine.calls().size();
    result = run_now(loop, exec_of(engine));
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == Reason::still_running);
    CHECK(engine.calls().size() == calls + 1);

    run_program(engine, frame("PONG\n"), 0);
    CHECK(run_now(loop, exec_of(engine)).outcome == Outcome::ok);
}

TEST_CASE(
    "exec in a container: one that has gone, is stopped or paused does not answer; an Engine that does not "
    "is our fault")
{
    auto [request, reply, outcome, reason] = GENERATE(table<std::string, std::string, Outcome, Reason>({
        {"POST /containers/shop-web-1/exec", http_reply(404, R"({"message":"No such container"})"),
         Outcome::no_response, Reason::not_running},
        {"POST /containers/shop-web-1/exec", http_reply(409, R"({"message":"is paused"})"),
         Outcome::no_response, Reason::not_running},
        {"POST /containers/shop-web-1/exec", http_reply(403, "no"), Outcome::not_attempted,
         Reason::permission_denied},
        {"POST /containers/shop-web-1/exec", http_reply(201, "{}"), Outcome::not_attempted,
         Reason::engine_unavailable},
        {"POST /exec/e1/start", http_reply(500, R"({"message":"boom"})"), Outcome::not_attempted,
         Reason::engine_unavailable},
        {"POST /exec/e1/start", raw_stream("no frames at all"), Outcome::not_attempted,
         Reason::engine_unavailable},
        {"GET /exec/e1/json", http_reply(404, "{}"), Outcome::no_response, Reason::not_running},
        {"GET /exec/e1/json", http_reply(200, "garbage"), Outcome::not_attempted, Reason::engine_unavailable},
    }));
    CAPTURE(request, reply);
    asio::io_context loop;
    ScriptedEngine engine{loop};
    run_program(engine, frame("PONG\n"), 0);
    engine.always(request, reply);
    const auto result = run_now(loop, exec_of(engine));
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
}

TEST_CASE("docker: names that cannot be a container's are told at once")
{
    CHECK(container_fault("shop-web-1").empty());
    CHECK(container_fault("0a1b.x_y").empty());
    for (const auto* name : {"", "../x", "a b", "a/b", "-x", "x?y", "ä"})
        CHECK_FALSE(container_fault(name).empty());
    CHECK(ExecSpec{.argv = {"true"}, .engine = {.host = "unix:///x"}}.faults().size() == 1);
}
