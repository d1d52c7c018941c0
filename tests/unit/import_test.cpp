#include "daemon/compose/import.hpp"

#include "daemon/config.hpp"
#include "daemon/document.hpp"

#include "tests/catch.hpp"

using namespace keepwell;

namespace {

constexpr auto shop = R"yaml(
name: shop
services:
  redis:
    image: redis:7-alpine
    command: redis-server --requirepass hunter2
    healthcheck:
      test: ["CMD", "redis-cli", "-a", "hunter2", "ping"]
      interval: 5s
  db:
    image: docker.io/library/postgres:15
    environment: [POSTGRES_USER=app, "POSTGRES_PASSWORD=hunter2"]
    healthcheck: {test: "pg_isready -U $$POSTGRES_USER", start_period: 30s, start_interval: 1s, retries: 5}
  api:
    build: .
    ports: ["8000:8000"]
    deploy: {replicas: 3}
    depends_on:
      db: {condition: service_healthy, restart: true}
      redis: {condition: service_started}
      elsewhere: {condition: service_started, required: false}
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:8000/health"], start_interval: 1s}
  web:
    image: nginx:1.27
    depends_on: [api]
  scheduler:
    build: .
    healthcheck: {test: ["CMD", "python", "-c", "exit(0)"]
}
  agent:
    image: example/agent
    expose: [9000, 9001/udp]
    network_mode: service:api
    healthcheck: {disable: true}
)yaml";

// Loads what was imported; the variables that it names are set.
LoadedConfig load(const compose::Imported& imported)
{
    return parse_config(imported.yaml, "keepwell.yaml", ".",
                        [](std::string_view) { return std::optional{std::string{"x"}}; });
}

}  // namespace

TEST_CASE(
    "what is imported from a Compose file is a configuration that loads, and says what was made of what")
{
    const auto imported = compose::import_compose(shop, "compose.yaml");
    INFO(imported.yaml << render(imported.problems));
    REQUIRE(imported.ok());
    const auto loaded = load(imported);
    INFO(render(loaded.problems));
    REQUIRE(loaded.ok());
    CHECK(imported.services == 6);
    CHECK(imported.translated == 3);
    CHECK(imported.guessed == 2);
    CHECK_FALSE(imported.yaml.contains("hunter2"));

    const Stack stack{loaded.config.stack};
    CHECK(stack.spec().project == "shop");
    const auto service = [&](std::string_view name) {
        return *stack.services()[stack.find(name).value()].spec;
    };
    const auto first_probe = [&](std::string_view name) {
        return service(name).instances.front().probes.front();
    };
    CHECK(first_probe("redis").timing.interval.text() == "5s");
    CHECK(first_probe("redis").timing.timeout.text() == "30s");
    CHECK(first_probe("db").timing.retries == 5);
    CHECK(first_probe("db").timing.start_interval.text() == "1s");
    CHECK(first_probe("db").role == Role::liveness);
    CHECK(first_probe("web").role == Role::readiness);
    CHECK(first_probe("agent").role == Role::readiness);
    CHECK(service("api").all_addresses);
    CHECK(service("api").depends_on == std::vector<Edge>{{"db", Condition::healthy, true}, {"redis"}});
    CHECK(service("agent").depends_on == std::vector<Edge>{{"api", Condition::started, true}});
    CHECK(imported.yaml.contains("is Python that asks nobody"));
    CHECK(imported.yaml.contains("Its start_interval does nothing"));
    CHECK(imported.yaml.contains("- tcp: api:9000\n"));
    CHECK(imported.yaml.contains("# Set ${REDIS_PASSWORD} in keepwell's environment"));
}

TEST_CASE("the JSON of `docker compose config` is read as well")
{
    const auto imported = compose::import_compose(
        R"({"name": "s", "services": {"a": {"image": "redis", "ports":
            [{"mode": "ingress", "target": 6379, "protocol": "tcp"}],
            "depends_on": null, "healthcheck":
            {"test": ["CMD-SHELL", "redis-cli -a \"$${P}\" ping"], "timeout": "1m30s"},
            "environment": {"P": "x$$y"}}}})",
        "standard input");
    INFO(imported.yaml << render(imported.problems));
    REQUIRE(imported.ok());
    CHECK(imported.translated == 1);
    CHECK(imported.yaml.contains("timeout: 1m30s\n"));
    CHECK(imported.yaml.contains("- redis: {address: a:6379, password: \"${P}\"}\n"));
    CHECK(load(imported).ok());
}

TEST_CASE("what is no Compose file is refused with a place and a hint")
{
    const auto* text = GENERATE("", "[]", "services: []", "services: {a: 1}", "a: [", "services:\n\t- x");
    const auto imported = compose::import_compose(text, "compose.yaml");
    CAPTURE(text, render(imported.problems));
    CHECK_FALSE(imported.ok());
    CHECK(imported.yaml.empty());
}

TEST_CASE("hostile names and texts stay texts in what is imported")
{
    const auto imported = compose::import_compose(
        "name: \"p\\n  x: 1\"\nservices:\n  \"a b: c\": {image: \"x\\nservices: {}\", ports: [\"80\"], "
        "healthcheck: {test: \"curl "
        "-f 'http://localhost/${A}\\\"x'\"}}\n",
        "compose.yaml", [](std::string_view) { return std::optional{std::string{"v\" }\n# "}}; });
    INFO(imported.yaml);
    REQUIRE(imported.ok());
    const auto document = parse_document(imported.yaml, "keepwell.yaml");
    REQUIRE(document.problems.empty());
    CHECK(document.root.find("project")->text == "p\n  x: 1");
    REQUIRE(document.root.find("services")->children.size() == 1);
    const auto& service = document.root.find("services")->children.front();
    CHECK(service.key == "a b: c");
    CHECK(service.find("probes")->children.front().find("http")->find("url")->text ==
          "http://a b: c/v\" }\n");
}
