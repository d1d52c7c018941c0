#include "tests/catch.hpp"

#include "exporters/docker.hpp"
#include "tests/unit/scripted_engine.hpp"

using namespace keepwell;
using namespace keepwell::test;
using Catch::Matchers::ContainsSubstring;
using Calls = std::vector<std::string>;

namespace {

const std::string id(64, 'a');
const ActionContext context{.project = "shop", .service = "web", .container = "shop-web-1"};

struct Shape {
    std::string status = "running";
    std::string labels = R"("com.docker.compose.project":"shop","com.docker.compose.service":"web")";
    std::string host = "{}";
    std::string config{};
    std::string started = "t1";
};

std::string json_of(const Shape& shape)
{
    return R"({"Id":")" + id + R"(","Name":"/shop-web-1","State":{"Status":")" + shape.status +
           R"(","ExitCode":1,"StartedAt":")" + shape.started + R"("},"Config":{"Labels":{)" + shape.labels +
           "}" + shape.config + R"(},"HostConfig":)" + shape.host +
           R"(,"GraphDriver":{"Data":{"UpperDir":"/layers/web"}}})";
}

// An Engine with this container, and what it says to the calls that do something.
class Stage {
public:
    explicit Stage(const Shape& shape = {})
    {
        engine.answer("GET /containers/shop-web-1/json", 200, json_of(shape));
    }

    void says(const std::string& what, int status, const std::string& body = "{}")
    {
        engine.always("POST /containers/" + id + "/" + what, http_reply(status, body));
    }
    void then_is(const Shape& shape)
    {
        engine.answer("GET /containers/" + id + "/json", 200, json_of(shape));
    }
    void stalls(const std::string& what)
    {
        says(what, 204);
        engine.break_at({.at = "POST /containers/" + id + "/" + what, .fault = Fault::stall});
    }

    ActionOutcome act_now(const DockerAction& action = {}, const OwnContainer& self = {},
                          const ActionContext& whom = context)
    {
        const auto came = await_now(loop, act(Engine{engine.options()}, action, whom, self));
        REQUIRE(came.value);
        return *came.value;
    }
    // The calls that do something.
    Calls done() const
    {
        Calls posts;
        for (const auto& call : engine.calls())
            if (call.starts_with("POST "))
                posts.push_back(
                    call.substr(call.rfind(id) == call.npos ? 0 : call.rfind(id) + id.size() + 1));
        return posts;
    }

    asio::io_context loop{};
    ScriptedEngine engine{loop};
};

}  // namespace

TEST_CASE("docker action: what runs is restarted with the time to stop that is its own")
{
    Stage stage;
    stage.says("restart", 204);
    const auto outcome = stage.act_now();
    CHECK(outcome.result == ActionResult::ok);
    CHECK(outcome.detail == "restarted");
    CHECK(stage.done() == Calls{"restart"});
    CHECK(stage.act_now({.stop_timeout = 1500ms}).result == ActionResult::ok);
    CHECK(stage.done().back() == "restart?t=2");
}

TEST_CASE("docker action: what has ended is started, and what runs meanwhile is left running")
{
    const std::string status = GENERATE(std::string{"exited"}, std::string{"created"}, std::string{"dead"});
    const auto [code, detail] =
        GENERATE(table<int, std::string>({{204, "started"}, {304, "runs again already"}}));
    Stage stage{{.status = status}};
    stage.says("start", code);
    const auto outcome = stage.act_now();
    CHECK(outcome.result == ActionResult::ok);
    CHECK_THAT(outcome.detail, ContainsSubstring(detail));
    CHECK(stage.done() == Calls{"start"});
}

TEST_CASE("docker action: a container that was started or made anew since it was judged is left alone")
{
    auto judged = context;
    judged.life = id + " t1";
    Stage same;
    same.says("restart", 204);
    CHECK(same.act_now({}, {}, judged).result == ActionResult::ok);

    Stage later{{.started = "t2"}};
    const auto outcome = later.act_now({}, {}, judged);
    CHECK(outcome.result == ActionResult::not_started);
    CHECK_THAT(outcome.detail, ContainsSubstring("it was started meanwhile"));
    CHECK(later.done().empty());

    judged.life = std::string(64, 'b') + " t1";
    Stage another;
    CHECK(another.act_now({}, {}, judged).result == ActionResult::not_started);
    CHECK(another.done().empty());
}

TEST_CASE("docker action: what must not be touched is not")
{
    const auto [shape, detail] = GENERATE(table<Shape, std::string>({
        {{.labels = R"("com.docker.compose.project":"other","com.docker.compose.service":"web")"},
         "is of project other, not of shop"},
        {{.labels = R"("com.docker.compose.project":"shop","com.docker.compose.service":"db")"},
         "not of service web"},
        {{.labels = R"("com.docker.compose.service":"web","com.docker.compose.oneoff":"True")"}, "one-off"},
        {{.status = "removing"}, "being removed"},
        {{.status = "paused"}, "docker unpause shop-web-1"},
    }));
    CAPTURE(detail);
    Stage stage{shape};
    const auto action = GENERATE(DockerAction{}, DockerAction{.action = DockerVerb::kill},
                                 DockerAction{.action = DockerVerb::signal},
                                 DockerAction{.action = DockerVerb::exec, .argv = {"true"}});
    const auto outcome = stage.act_now(action);
    CHECK(outcome.result == ActionResult::not_started);
    CHECK_THAT(outcome.detail, ContainsSubstring(detail));
    CHECK(stage.done().empty());
}

TEST_CASE("docker action: a container without labels is taken by its name")
{
    Stage stage{{.labels = ""}};
    stage.says("restart", 204);
    CHECK(stage.act_now().result == ActionResult::ok);
    CHECK(stage.act_now({}, {}, {.service = "anything"}).result == ActionResult::not_started);
}

TEST_CASE("docker action: keepwell touches neither itself nor what it runs in")
{
    Stage stage;
    const std::string own(64, 'b');
    const auto self = GENERATE_COPY(OwnContainer{.id = id}, OwnContainer{.id = id.substr(0, 12)},
                                    OwnContainer{.upper_directory = "/layers/web"}, OwnContainer{.id = own});
    const auto mode =
        GENERATE_COPY(std::string{"NetworkMode"}, std::string{"PidMode"}, std::string{"IpcMode"});
    stage.engine.answer("GET /containers/" + id + "/json", 200, json_of({}));
    stage.engine.answer("GET /containers/" + id.substr(0, 12) + "/json", 200, json_of({}));
    stage.engine.answer("GET /containers/" + own + "/json", 200,
                        R"({"Id":")" + own + R"(","State":{"Status":"running"},"HostConfig":{")" + mode +
                            R"(":"container:)" + id + R"("}})");
    const auto outcome = stage.act_now({}, self);
    CHECK(outcome.result == ActionResult::not_started);
    CHECK_THAT(outcome.detail, ContainsSubstring("keepwell"));
    CHECK(stage.done().empty());
}

TEST_CASE(
    "docker action: another container than keepwell's own is fair game, though the Engine knows nothing of "
    "that")
{
    Stage stage;
    stage.says("restart", 204);
    CHECK(stage.act_now({}, {.id = std::string(64, 'c'), .upper_directory = "/layers/keepwell"}).result ==
          ActionResult::ok);
}

TEST_CASE("docker action: what the Engine answers is told")
{
    const auto [status, message, result, detail] =
        GENERATE(table<int, std::string, ActionResult, std::string>({
            {404, "No such container: " + id, ActionResult::not_started, "any more"},
            {409, "removal of container is already in progress", ActionResult::not_started,
             "already in progress"},
            {500, "Cannot restart container: driver failed", ActionResult::failed, "driver failed"},
            {403, "<html>", ActionResult::not_started, "does the socket proxy allow it?"},
            {404, "Cannot restart container shop-web-1: No such container: " + std::string(64, 'd'),
             ActionResult::needs_recreate, "docker compose -p shop up -d --force-recreate --no-deps web"},
            {500, "cannot join network: No such container: " + std::string(64, 'd'),
             ActionResult::needs_recreate, ""},
        }));
    Stage stage;
    stage.says("restart", status, R"({"message":")" + message + R"("})");
    const auto outcome = stage.act_now();
    CAPTURE(message, outcome.detail);
    CHECK(outcome.result == result);
    CHECK_THAT(outcome.detail, ContainsSubstring(detail));
}

TEST_CASE("docker action: a shared namespace is looked at before anything is stopped")
{
    const std::string parent(64, 'd');
    const auto mode = GENERATE_COPY(std::string{"NetworkMode"}, std::string{"PidMode"});
    const auto [state, result, detail] = GENERATE(table<std::string, ActionResult, std::string>({
        {"", ActionResult::needs_recreate, "--force-recreate"},
        {"exited", ActionResult::not_started, "that one first"},
        {"running", ActionResult::ok, "restarted"},
    }));
    Stage stage{{.host = R"({")" + mode + R"(":"container:)" + parent + R"("})"}};
    stage.says("restart", 204);
    if (!state.empty())
        stage.engine.answer("GET /containers/" + parent + "/json", 200,
                            R"({"Name":"/vpn","State":{"Status":")" + state + R"("}})");
    const auto outcome = stage.act_now();
    CHECK(outcome.result == result);
    CHECK_THAT(outcome.detail, ContainsSubstring(detail));
    CHECK(stage.done().empty() == (result != ActionResult::ok));
}

TEST_CASE("docker action: a restart that does not end becomes a kill and a start")
{
    Stage stage;
    stage.stalls("restart");
    stage.says("kill", GENERATE(204, 409));
    stage.says("start", 204);
    stage.then_is({});
    stage.then_is({});
    stage.then_is({.status = "exited"});
    const auto outcome = stage.act_now({.timeout = 200ms});
    CHECK(outcome.result == ActionResult::ok);
    CHECK(outcome.detail == "it did not stop in 200ms; killed; started");
    CHECK(stage.done() == Calls{"restart", "kill", "start"});
}

TEST_CASE("docker action: what is not to be killed, or cannot be, is told")
{
    Stage stage{{.host = GENERATE(R"({"AutoRemove":true})", R"({})")}};
    stage.stalls("restart");
    stage.says("kill", 500, R"({"message":"tried to kill container, but did not receive an exit event"})");
    const bool stays = stage.act_now({.timeout = 100ms}).result == ActionResult::timed_out;
    CHECK(stays == (stage.done() == Calls{"restart"}));
    CHECK(stage.act_now({.timeout = 100ms}).result ==
          (stays ? ActionResult::timed_out : ActionResult::failed));
}

TEST_CASE("docker action: killed at once, when that is what is asked for")
{
    Stage stage;
    stage.says("kill", 204);
    stage.says("start", 304);
    stage.then_is({.started = "t2"});
    const auto outcome = stage.act_now({.action = DockerVerb::kill});
    CHECK(outcome.result == ActionResult::ok);
    CHECK(stage.done() == Calls{"kill", "start"});
}

TEST_CASE("docker action: without an Engine nothing is done; one that goes away meanwhile leaves a doubt")
{
    const auto [at, fault, result] = GENERATE(table<std::string, Fault, ActionResult>({
        {"GET /_ping", Fault::close, ActionResult::not_started},
        {"GET /_ping", Fault::garbage, ActionResult::not_started},
        {"GET /containers/shop-web-1/json", Fault::close, ActionResult::not_started},
        {"GET /containers/shop-web-1/json", Fault::garbage, ActionResult::not_started},
        {"POST /containers/" + id + "/restart", Fault::close, ActionResult::failed},
        {"POST /containers/" + id + "/restart", Fault::garbage, ActionResult::failed},
    }));
    CAPTURE(at);
    Stage stage;
    stage.says("restart", 204);
    stage.engine.break_at({.at = at, .fault = fault});
    const auto outcome = stage.act_now();
    CHECK(outcome.result == result);
    CHECK_THAT(outcome.detail, ContainsSubstring("Docker Engine at unix:///"));

    asio::io_context loop;
    const auto came = await_now(loop, act(Engine{{.host = "unix:///no/such.sock"}}, {}, context, {}));
    CHECK(came.value->result == ActionResult::not_started);
    CHECK_THAT(came.value->detail, ContainsSubstring("there is no socket"));
}

TEST_CASE("docker action: a container that is not known, or gone, is told")
{
    Stage stage;
    CHECK_THAT(stage.act_now({}, {}, {}).detail, ContainsSubstring("not known"));
    const auto outcome = stage.act_now({}, {}, {.container = "../other"});
    CHECK(outcome.result == ActionResult::not_started);
    CHECK_THAT(outcome.detail, ContainsSubstring("there is no container ../other"));
    CHECK(stage.engine.calls().back() == "GET /containers/..%2Fother/json");
}

TEST_CASE("docker action: a signal reaches what runs, and only that")
{
    Stage stage{{.status = GENERATE(std::string{"running"}, std::string{"exited"})}};
    stage.says("kill", 204);
    const auto outcome = stage.act_now({.action = DockerVerb::signal, .signal = "SIGUSR1"});
    if (outcome.result == ActionResult::ok) {
        CHECK(stage.done() == Calls{"kill?signal=SIGUSR1"});
    } else {
        CHECK(outcome.result == ActionResult::not_started);
        CHECK(stage.done().empty());
    }
}

TEST_CASE("docker action: a program inside answers by its exit code")
{
    const auto [code, result] =
        GENERATE(table<int, ActionResult>({{0, ActionResult::ok}, {1, ActionResult::failed}}));
    Stage stage;
    stage.says("exec", 201, R"({"Id":"e1"})");
    stage.engine.answer("POST /exec/e1/start", "HTTP/1.1 200 OK\r\n\r\n" +
                                                   std::string("\2\0\0\0\0\0\0\x0f", 8) + "nginx: [emerg]\n");
    stage.engine.answer("GET /exec/e1/json", 200,
                        R"({"Running":false,"ExitCode":)" + std::to_string(code) + "}");
    const auto outcome =
        stage.act_now({.action = DockerVerb::exec, .argv = {"nginx", "-s", "reload", "{container}"}});
    CHECK(outcome.result == result);
    CHECK(outcome.output == "nginx: [emerg]\n");
    CHECK_THAT(stage.engine.bodies().at(2),
               ContainsSubstring(R"("Cmd":["nginx","-s","reload","shop-web-1"])"));
}

// ---- Swarm ----

namespace {

const std::string task_labels =
    R"("com.docker.swarm.service.id":"s1","com.docker.swarm.service.name":"shop_web","com.docker.stack.namespace":"shop")";

std::string service_json(int replicas, const std::string& condition, int version = 7,
                         const std::string& state = "")
{
    return R"({"ID":"s1","Version":{"Index":)" + std::to_string(version) +
           R"(},"Spec":{"Name":"shop_web","Mode":{"Replicated":{"Replicas":)" + std::to_string(replicas) +
           R"(}},"TaskTemplate":{"ForceUpdate":4,"RestartPolicy":{"Condition":")" + condition +
           R"("}}},"UpdateStatus":{"State":")" + state + R"("}})";
}

struct SwarmStage : Stage {
    explicit SwarmStage(const std::string& service, bool manager = true) : Stage{{.labels = task_labels}}
    {
        engine.answer("GET /info", 200,
                      std::string{R"({"Swarm":{"ControlAvailable":)"} + (manager ? "true}}" : "false}}"));
        engine.answer("GET /services/s1", 200, service);
        engine.answer("POST /services/s1/update", 200, R"({"Warnings":null})");
        says("stop", 204);
        says("kill", 204);
    }
};

}  // namespace

TEST_CASE("docker action: a task is renewed as its service allows")
{
    const auto [service, verb, call] = GENERATE(table<std::string, DockerVerb, std::string>({
        {service_json(1, "any"), DockerVerb::restart, "POST /services/s1/update?version=7"},
        {service_json(3, "any"), DockerVerb::update, "POST /services/s1/update?version=7"},
        {service_json(3, "none"), DockerVerb::restart, "POST /services/s1/update?version=7"},
        {service_json(3, "any"), DockerVerb::restart, "stop"},
        {service_json(3, "any"), DockerVerb::kill, "kill"},
        {service_json(3, "on-failure"), DockerVerb::restart, "kill"},
    }));
    SwarmStage stage{service};
    const auto outcome = stage.act_now({.action = verb});
    CHECK(outcome.result == ActionResult::ok);
    CHECK(stage.done() == Calls{call});
    if (call.starts_with("POST"))
        CHECK_THAT(stage.engine.bodies().back(), ContainsSubstring(R"("ForceUpdate":5)"));
}

TEST_CASE(
    "docker action: a task is left alone by a node that is no manager, and while an update is under way")
{
    const bool manager = GENERATE(false, true);
    SwarmStage stage{service_json(1, "any", 7, "updating"), manager};
    const auto outcome = stage.act_now();
    CHECK(outcome.result == ActionResult::not_started);
    CHECK_THAT(outcome.detail, ContainsSubstring(manager ? "under way" : "only a manager"));
    CHECK(stage.done().empty());
}

TEST_CASE("docker action: an update of the service by somebody else is no reason to give up")
{
    SwarmStage stage{service_json(1, "any", 7)};
    stage.engine.answer("GET /services/s1", 200, service_json(1, "any", 8));
    stage.engine.always("POST /services/s1/update",
                        http_reply(500, R"({"message":"update out of sequence"})"));
    stage.engine.answer("POST /services/s1/update", 200);
    CHECK(stage.act_now().result == ActionResult::ok);
    CHECK(stage.done() == Calls{"POST /services/s1/update?version=7", "POST /services/s1/update?version=8"});
}

TEST_CASE("docker action: what cannot be meant is told when it is configured")
{
    CHECK(DockerAction{}.faults().empty());
    CHECK(DockerAction{.action = DockerVerb::exec}.faults().size() == 1);
    CHECK(DockerAction{.action = DockerVerb::exec, .argv = {"nginx", "{nonsense}"}}.faults().size() == 1);
    CHECK(DockerAction{.argv = {"true"}}.faults().size() == 1);
    CHECK(DockerAction{.action = DockerVerb::kill, .stop_timeout = 1s}.faults().size() == 1);
    for (const auto* good : {"HUP", "SIGUSR1", "1", "64", "RTMIN+3", "SIGRTMAX-1"})
        CHECK(DockerAction{.action = DockerVerb::signal, .signal = good}.faults().empty());
    for (const auto* bad : {"HUP; rm", "HUPP", "hup", "", "0", "65", "SIG", "1x"})
        CHECK(DockerAction{.action = DockerVerb::signal, .signal = bad}.faults().size() == 1);
}
