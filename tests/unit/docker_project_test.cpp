#include "daemon/docker/project.hpp"

#include "daemon/config.hpp"
#include "daemon/docker/identity.hpp"
#include "daemon/kinds.hpp"

#include "tests/catch.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace keepwell;
using namespace keepwell::docker;

namespace {

// A container of Compose's: `shop-api-2` at 10.0.0.N on network `net`, where N is the number.
Container compose(const std::string& service, const std::string& number = "1")
{
    Container container{.id = "id-" + service + "-" + number,
                        .name = "shop-" + service + "-" + number,
                        .image = "example/" + service,
                        .status = Status::running,
                        .started_at = "2026-01-01T00:00:00Z",
                        .restart_policy = "unless-stopped",
                        .network_mode = "shop_default",
                        .addresses = {{"net", "10.0.0." + number}}};
    container.labels = {{"com.docker.compose.project", "shop"},
                        {"com.docker.compose.service", service},
                        {"com.docker.compose.container-number", number},
                        {"com.docker.compose.oneoff", "False"}};
    return container;
}

Container with_check(Container container, const std::string& line)
{
    container.healthcheck = {.test = {"CMD-SHELL", line}, .interval = 5'000'000'000, .retries = 2};
    return container;
}

Self keepwell_in_shop() { return {.id = "id-keepwell-1", .project = "shop", .networks = {"net"}}; }

struct Seen {
    Found found;
    Addresses addresses{};
};

Found find(const std::vector<Container>& containers, const Scope& scope = {}, Self self = keepwell_in_shop())
{
    Addresses addresses;
    return find_services(containers, scope, self, addresses);
}

// `api[api-1@10.0.0.1 api-2@10.0.0.2 (paused)]`
std::string line_of(const Found& found)
{
    std::vector<std::string> services;
    for (const auto& service : found.services) {
        std::vector<std::string> instances;
        for (const auto& each : service.instances)
            instances.push_back(each.name + "@" + each.address +
                                (each.rest.empty() ? "" : " (" + each.rest + ")"));
        services.push_back(fmt::format("{}[{}]", service.name, fmt::join(instances, " ")));
    }
    return fmt::format("{}", fmt::join(services, " "));
}

// What the daemon makes of it, as `keepwell check` would print it.
LoadedConfig load(const Found& found, std::string_view file = "docker: true")
{
    return parse_config(file, "keepwell.yaml", ".", environment, &found);
}

// `tcp exec`
std::string kinds_of(const Instance& instance)
{
    std::vector<std::string_view> kinds;
    for (const auto& probe : instance.probes)
        kinds.push_back(kind_of(*probe.spec));
    return fmt::format("{}", fmt::join(kinds, " "));
}

const Service& service_of(const LoadedConfig& loaded, std::string_view name)
{
    INFO(render(loaded.problems));
    REQUIRE(loaded.ok());
    const auto found = std::ranges::find(loaded.config.stack.services, name, &Service::name);
    REQUIRE(found != loaded.config.stack.services.end());
    return *found;
}

std::vector<std::string> edges_of(const LoadedConfig& loaded, std::string_view name)
{
    std::vector<std::string> lines;
    for (const auto& edge : service_of(loaded, name).depends_on)
        lines.push_back(fmt::format("{}:{}:{}", edge.service, name_of(edge.condition), edge.restart));
    return lines;
}

}  // namespace

TEST_CASE("keepwell's own project is watched, but not keepwell, one-offs, and what asks to be left alone")
{
    auto keepwell = compose("keepwell");
    auto second = compose("watcher");
    second.labels["io.keepwell.daemon"] = "true";
    auto one_off = compose("api", "7");
    one_off.labels["com.docker.compose.oneoff"] = "True";
    auto other = compose("mail");
    other.labels["com.docker.compose.project"] = "office";
    auto left_alone = compose("batch");
    left_alone.labels["keepwell.enable"] = "false";
    const std::vector containers{keepwell, second, one_off, other, left_alone, compose("api")};
    CHECK(line_of(find(containers)) == "api[shop-api-1@10.0.0.1]");
    CHECK(find(containers).project == "shop");
    CHECK(line_of(find(containers, {.projects = {"office"}})) == "mail[shop-mail-1@10.0.0.1]");
    CHECK(line_of(find(containers, {.all = true})) ==
          "office.mail[shop-mail-1@10.0.0.1] "
          "shop.api[shop-api-1@10.0.0.1]");
    CHECK(line_of(find({Container{.id = "x", .name = "alone", .status = Status::running}}, {.all = true})) ==
          "alone[alone@]");
}

TEST_CASE("several containers of a service are instances, named by their numbers")
{
    const auto found = find({compose("api", "1"), compose("api", "3"), compose("db")});
    CHECK(line_of(found) == "api[shop-api-1@10.0.0.1 shop-api-3@10.0.0.3] db[shop-db-1@10.0.0.1]");
    const auto loaded = load(found);
    CHECK(service_of(loaded, "api").instances[1].container == "shop-api-3");
    CHECK(loaded.config.stack.project == "shop");
}

TEST_CASE("of two containers of one number the running one counts, then the newer one")
{
    auto old = compose("api");
    auto fresh = compose("api");
    fresh.id = "new";
    fresh.name = "0123456789ab_shop-api-1";
    fresh.started_at = "2026-02-01T00:00:00Z";
    SECTION("a replacement that was not started yet")
    {
        fresh.status = Status::created;
        fresh.started_at = "0001-01-01T00:00:00Z";
        CHECK(find({old, fresh}).services[0].instances[0].container == "shop-api-1");
        CHECK(find({fresh, old}).services[0].instances[0].container == "shop-api-1");
    }
    SECTION("a replacement that runs while the old one is gone already")
    {
        old.status = Status::exited;
        CHECK(find({old, fresh}).services[0].instances[0].container == "0123456789ab_shop-api-1");
    }
}

TEST_CASE("what does not run on purpose is not watched")
{
    const auto rest_of = [](Status status, const std::string& policy, int exit_code) {
        auto container = compose("api");
        container.status = status;
        container.restart_policy = policy;
        container.exit_code = exit_code;
        return reason_for_rest(container);
    };
    CHECK(rest_of(Status::running, "no", 0).empty());
    CHECK(rest_of(Status::restarting, "always", 1).empty());
    CHECK(rest_of(Status::paused, "always", 0) == "paused");
    CHECK(rest_of(Status::created, "always", 0) == "never started");
    CHECK(rest_of(Status::exited, "unless-stopped", 137) == "stopped by hand");
    CHECK(rest_of(Status::exited, "always", 1) == "stopped by hand");
    CHECK(rest_of(Status::exited, "no", 0) == "done");
    CHECK(rest_of(Status::exited, "on-failure", 0) == "done");
    CHECK(rest_of(Status::exited, "no", 143) == "stopped by hand");
    CHECK(rest_of(Status::exited, "no", 137).empty());  // killed: it should run
    CHECK(rest_of(Status::exited, "on-failure", 1).empty());

    auto container = compose("api");
    container.status = Status::exited;
    container.restart_policy = "no";
    container.exit_code = 1;
    container.never_ran = true;
    CHECK(reason_for_rest(container) == "ended with code 1 before keepwell watched");
    container.asked_to_stop = true;
    CHECK(reason_for_rest(container) == "stopped by hand");
}

TEST_CASE("a container that has stopped keeps the address that it had")
{
    Addresses addresses;
    auto db = compose("db");
    (void)find_services(std::vector{db}, {}, keepwell_in_shop(), addresses);
    db.addresses.clear();
    db.status = Status::exited;
    const auto found = find_services(std::vector{db}, {}, keepwell_in_shop(), addresses);
    CHECK(line_of(found) == "db[shop-db-1@10.0.0.1 (stopped by hand)]");
}

TEST_CASE("addresses: a network in common, the owner of a shared namespace, the host")
{
    auto far = compose("far");
    far.addresses = {{"elsewhere", "10.9.0.1"}};
    auto two = compose("two");
    two.addresses = {{"aaa", "10.9.0.2"}, {"net", "10.0.0.2"}};
    auto sharing = compose("sharing");
    sharing.network_mode = "container:id-two-1";
    sharing.addresses.clear();
    auto host = compose("host");
    host.network_mode = "host";
    host.addresses.clear();
    const std::vector containers{far, two, sharing, host};
    CHECK(line_of(find(containers)) ==
          "far[shop-far-1@] host[shop-host-1@] sharing[shop-sharing-1@10.0.0.2] two[shop-two-1@10.0.0.2]");
    CHECK(line_of(find(containers, {.projects = {"shop"}}, {})) ==
          "far[shop-far-1@10.9.0.1] host[shop-host-1@127.0.0.1] sharing[shop-sharing-1@10.9.0.2] "
          "two[shop-two-1@10.9.0.2]");
}

TEST_CASE("dependencies come from Compose's label and from shared namespaces; circles are broken and told")
{
    auto api = compose("api");
    api.labels["com.docker.compose.depends_on"] =
        "db:service_healthy:true,cache:service_started:false,gone:service_started:false";
    auto side = compose("side");
    side.network_mode = "container:id-api-1";
    auto found = find({api, side, compose("db"), compose("cache")});
    auto loaded = load(found);
    CHECK(edges_of(loaded, "api") ==
          std::vector<std::string>{"db:service_healthy:true", "cache:service_started:false"});
    CHECK(edges_of(loaded, "side") == std::vector<std::string>{"api:service_started:true"});

    auto db = compose("db");
    db.labels["com.docker.compose.depends_on"] = "api:service_started:false";
    found = find({api, db});
    loaded = load(found);
    CHECK(edges_of(loaded, "api").size() + edges_of(loaded, "db").size() == 1);
    REQUIRE(found.notes.size() == 1);
    CHECK(found.notes[0].contains("depend on each other"));
}

TEST_CASE("a shared namespace whose owner is gone is told of, with the command that mends it")
{
    auto side = compose("side");
    side.network_mode = "container:0123456789abcdef";
    const auto found = find({side});
    REQUIRE(found.notes.size() == 1);
    CHECK(found.notes[0].contains("docker compose up -d --force-recreate --no-deps side"));
}

TEST_CASE("Swarm's tasks are instances by their slots, whatever their names")
{
    const auto task = [](const std::string& slot, const std::string& id, Status status,
                         const std::string& started) {
        Container container{.id = id,
                            .name = "shop_api." + slot + "." + id,
                            .status = status,
                            .started_at = started,
                            .addresses = {{"net", "10.0.0." + slot}}};
        container.labels = {{"com.docker.stack.namespace", "shop"},
                            {"com.docker.swarm.service.name", "shop_api"},
                            {"com.docker.swarm.task.name", container.name}};
        return container;
    };
    const auto found =
        find({task("1", "old", Status::exited, "2026-01-01"), task("1", "new", Status::running, "2026-01-02"),
              task("2", "two", Status::running, "2026-01-01")});
    CHECK(line_of(found) == "api[api-1@10.0.0.1 api-2@10.0.0.2]");
    CHECK(found.services[0].instances[0].container == "shop_api.1.new");
}

TEST_CASE("its own health check is asked natively, at its own times")
{
    const auto loaded = load(find({with_check(compose("api"), "curl -f http://localhost:8000/health")}));
    const auto& api = service_of(loaded, "api");
    REQUIRE(api.instances[0].probes.size() == 1);
    const auto& probe = api.instances[0].probes[0];
    CHECK(text_of(*probe.spec).contains("http://10.0.0.1:8000/health"));
    CHECK(probe.role == Role::liveness);
    CHECK(probe.timing.interval == Duration{5s});
    CHECK(probe.timing.timeout == Duration{30s});
    CHECK(probe.timing.retries == 2);
    CHECK(api.origin == "its own health check (curl), asked natively");
}

TEST_CASE("what has no translation, or no network in common, is asked of Docker")
{
    const auto odd = load(find({with_check(compose("odd"), "test -f /tmp/ready")}));
    CHECK(text_of(*service_of(odd, "odd").instances[0].probes[0].spec).contains("shop-odd-1"));
    CHECK(service_of(odd, "odd").origin.starts_with("Docker's verdict"));
    auto far = with_check(compose("far"), "curl -f http://localhost/");
    far.addresses = {{"elsewhere", "10.9.0.1"}};
    const auto loaded = load(find({far}));
    CHECK(kind_of(*service_of(loaded, "far").instances[0].probes[0].spec) == "docker");
}

TEST_CASE("without a health check image and ports are a guess, and a guess restarts nothing")
{
    auto redis = compose("cache");
    redis.image = "redis:7-alpine";
    auto checks_nothing = with_check(compose("app"), "exit 0");
    checks_nothing.ports = {"5000"};
    const auto loaded = load(find({redis, checks_nothing, compose("worker")}));
    for (const auto* name : {"cache", "app", "worker"}) {
        CAPTURE(name);
        REQUIRE(service_of(loaded, name).instances[0].probes.size() == 1);
        CHECK(service_of(loaded, name).instances[0].probes[0].role == Role::readiness);
    }
    CHECK(kind_of(*service_of(loaded, "cache").instances[0].probes[0].spec) == "redis");
    CHECK(kind_of(*service_of(loaded, "app").instances[0].probes[0].spec) == "tcp");
    CHECK(kind_of(*service_of(loaded, "worker").instances[0].probes[0].spec) == "docker");
}

TEST_CASE("labels go before the file, and the file before what the container tells")
{
    auto api = with_check(compose("api"), "curl -f http://localhost:8000/health");
    const auto* file = R"yaml(
docker: true
services:
  api: {interval: 7s, retries: 4}
  elsewhere: {probes: [{tcp: "10.1.1.1:80"}]}
  absent: {probes: [{http: "http://{address}/"}]}
)yaml";
    SECTION("times of the file for the probe of the container")
    {
        const auto loaded = load(find({api}), file);
        const auto& probe = service_of(loaded, "api").instances[0].probes.at(0);
        CHECK(probe.timing.interval == Duration{7s});
        CHECK(probe.timing.retries == 4);
        CHECK(kind_of(*probe.spec) == "http");
        CHECK(loaded.config.stack.services.size() == 2);
        REQUIRE(loaded.problems.size() == 1);
        CHECK(loaded.problems[0].text.contains("no container"));
    }
    SECTION("a label")
    {
        api.labels["keepwell.interval"] = "3s";
        api.labels["keepwell.restart.mode"] = "act";
        const auto loaded = load(find({api}), file);
        CHECK(service_of(loaded, "api").instances[0].probes.at(0).timing.interval == Duration{3s});
        CHECK(service_of(loaded, "api").restart.mode == Mode::act);
    }
    SECTION("probes in a label, with times of their own")
    {
        api.labels["keepwell.probes"] = "[{tcp: \"{address}:9000\", role: readiness}]";
        const auto loaded = load(find({api}));
        const auto& probe = service_of(loaded, "api").instances[0].probes.at(0);
        CHECK(text_of(*probe.spec) == "tcp {address: 10.0.0.1:9000}");
        CHECK(probe.timing == Timing{});
    }
    SECTION("a wrong label is told of, and all of that container's labels are passed over")
    {
        api.labels["keepwell.intervall"] = "3s";
        api.labels["keepwell.retries"] = "9";
        const auto loaded = load(find({api}));
        CHECK(service_of(loaded, "api").instances[0].probes.at(0).timing.retries == 2);
        REQUIRE(loaded.problems.size() == 1);
        CHECK(to_string(loaded.problems[0]).contains("labels of shop-api-1"));
        CHECK(to_string(loaded.problems[0]).contains("did you mean \"interval\""));
    }
}

TEST_CASE("whoever asks to be left alone is, however the no is written")
{
    auto [value, watched] = GENERATE(table<std::string, bool>({
        {"true", true},
        {"yes", true},
        {"On", true},
        {"1", true},
        {"", true},
        {"false", false},
        {"False", false},
        {"no", false},
        {"off", false},
        {"0", false},
        {"maybe", false},
    }));
    CAPTURE(value);
    auto api = compose("api");
    api.labels["keepwell.enable"] = value;
    CHECK(find({api}).services.size() == (watched ? 1 : 0));
}

TEST_CASE("what stopped and whose address is another's by now is asked of Docker")
{
    Addresses addresses;
    auto db = with_check(compose("db"), "nc -z localhost 5432");
    auto other = compose("other");
    other.addresses["net"] = "10.0.0.9";
    (void)find_services(std::vector{db, other}, {}, keepwell_in_shop(), addresses);
    db.status = Status::exited;
    db.restart_policy = "no";
    db.exit_code = 137;
    db.addresses.clear();
    auto found = find_services(std::vector{db, other}, {}, keepwell_in_shop(), addresses);
    CHECK(kind_of(*service_of(load(found), "db").instances[0].probes[0].spec) == "tcp");
    other.addresses["net"] = "10.0.0.1";
    found = find_services(std::vector{db, other}, {}, keepwell_in_shop(), addresses);
    CHECK(kind_of(*service_of(load(found), "db").instances[0].probes[0].spec) == "docker");
}

TEST_CASE("labels of autoheal and deunhealth are understood")
{
    auto one = compose("one");
    one.labels["autoheal"] = "true";
    one.labels["autoheal.stop.timeout"] = "25";
    auto two = compose("two");
    two.labels["deunhealth.restart.on.unhealthy"] = "true";
    auto three = compose("three");
    three.labels["autoheal"] = "false";
    const auto loaded = load(find({one, two, three}));
    CHECK(service_of(loaded, "one").restart.mode == Mode::act);
    CHECK(service_of(loaded, "two").restart.mode == Mode::act);
    CHECK_FALSE(service_of(loaded, "three").restart.mode);
}

TEST_CASE("a password of a health check reaches the probe and nobody else")
{
    const auto loaded = load(find({with_check(compose("cache"), "redis-cli -a 'hunter2' ping")}));
    const auto& spec = *service_of(loaded, "cache").instances[0].probes.at(0).spec;
    CHECK(std::get<RedisSpec>(spec).password.reveal() == "hunter2");
    CHECK_FALSE(text_of(loaded.config).contains("hunter2"));
    CHECK_FALSE(service_of(loaded, "cache").origin.contains("hunter2"));
}

TEST_CASE("probes ask the Engine that the services were found in, unless they name another one")
{
    const auto engine_of = [](const Probe& probe) {
        const auto* docker = std::get_if<DockerSpec>(probe.spec.get());
        return docker ? docker->engine.host : std::get<ExecSpec>(*probe.spec).engine.host;
    };
    auto gated = compose("gated");
    gated.labels["keepwell.probes"] =
        "[{docker: {container: x, engine: {host: /other}}}, {exec: {argv: [nginx, -t], container: x}}, "
        "{exec: true}]";
    const auto loaded =
        load(find({compose("quiet"), gated}), "docker: {host: /proxy}\nself_check: {docker: self}");
    CHECK(engine_of(service_of(loaded, "quiet").instances[0].probes.at(0)) == "/proxy");
    const auto& probes = service_of(loaded, "gated").instances[0].probes;
    CHECK(engine_of(probes.at(0)) == "/other");
    CHECK(engine_of(probes.at(1)) == "/proxy");
    CHECK(engine_of(probes.at(2)).empty());
    CHECK(engine_of(*loaded.config.self_check) == "/proxy");
}

TEST_CASE("of a container without an address only what needs none is asked, and the others are asked all")
{
    auto first = compose("api", "1");
    auto second = compose("api", "2");
    first.addresses = {{"net", ""}};
    for (auto* each : {&first, &second})
        each->labels["keepwell.probes"] = R"([{tcp: "{address}:80"}, {exec: [true], role: readiness}])";
    const auto loaded = load(find({first, second}));
    const auto& api = service_of(loaded, "api");
    CHECK(kinds_of(api.instances[0]) == "exec");
    CHECK(kinds_of(api.instances[1]) == "tcp exec");
    CHECK(render(loaded.problems).contains("shop-api-1 has no address that keepwell can reach"));

    const std::string file = R"({docker: true, services: {db: {probes: [{tcp: "{address}:5432"}]}}})";
    auto db = compose("db");
    db.addresses.clear();
    CHECK(service_of(load(find({db, second}), file), "db").instances[0].probes.empty());
    CHECK(kinds_of(service_of(load(find({compose("db"), second}), file), "db").instances[0]) == "tcp");
}

TEST_CASE("only a health check that is asked by ourselves can be disputed by Docker")
{
    auto own = with_check(compose("own"), "redis-cli ping");
    auto labelled = with_check(compose("labelled"), "redis-cli ping");
    labelled.labels["keepwell.probes"] = R"([{tcp: "{address}:80"}])";
    auto strange = with_check(compose("strange"), "test -f /x");
    const auto loaded = load(find({own, labelled, strange, with_check(compose("filed"), "redis-cli ping")}),
                             R"({docker: true, services: {filed: {probes: [{tcp: "{address}:1"}]}}})");
    CHECK(service_of(loaded, "own").native);
    CHECK_FALSE(service_of(loaded, "labelled").native);
    CHECK_FALSE(service_of(loaded, "strange").native);
    CHECK_FALSE(service_of(loaded, "filed").native);
}
