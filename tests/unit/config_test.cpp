#include "tests/catch.hpp"

#include "daemon/config.hpp"
#include "daemon/kinds.hpp"
#include "probes/environment.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

using namespace keepwell;

namespace {

std::optional<std::string> lookup(std::string_view name)
{
    return name == "PASSWORD" ? std::optional<std::string>{"hunter2"} : std::nullopt;
}

LoadedConfig parse(std::string_view text) { return parse_config(text, "f", "/", lookup); }

std::string problems_of(std::string_view text) { return render(parse(text).problems); }

// What is told of a service `s`, whose keys stand in line 4 and the following, four spaces deep.
std::string problems_of_service(const std::string& keys)
{
    return problems_of("services:\n  other: {probes: [{tcp: 'o:1'}]}\n  s:\n    " + keys + "\n" +
                       (keys.starts_with("probes") ? "" : "    probes: [{tcp: 's:1'}]\n"));
}

}  // namespace

TEST_CASE("a whole configuration")
{
    const auto loaded = parse(R"(
x-slow: &slow {interval: 1m, timeout: 20s}
project: shop
mode: act
state_path: /var/lib/keepwell/state.json
defaults:
  retries: 5
  restart: {max: 3, command: [systemctl, restart, "{service}"]}
self_check: {tcp: "192.0.2.1:53"}
webhooks:
  - url: https://example.org/hook
    secret: ${PASSWORD}
services:
  db:
    probes:
      - tcp: db:5432
        start_period: 30s
  api:
    depends_on:
      db: {condition: service_healthy, restart: true}
      cache: {required: false}
    instances: {one: 10.0.0.1, two: 10.0.0.2}
    min_healthy: 2
    timeout: 2s
    restart: {mode: signal, for: 30s, max: 5, command: x}
    probes:
      - {tcp: "{address}:8000"}
      - {tcp: "{address}:8001", <<: *slow}
      - {exec: [test, -e, "/run/{service}-{instance}"], name: config, role: gate}
  worker: {probes: [{heartbeat: 1m}]}
  web:
    depends_on: [api]
    instances: all
    probes: [{tcp: "web:80", role: readiness}]
)");
    CHECK(render(loaded.problems) == "");
    CHECK(text_of(loaded.config) ==
          R"(project shop, mode act, max_restarts_at_once 2
state in /var/lib/keepwell/state.json
self check self_check (liveness): tcp {address: 192.0.2.1:53} every {retries: 5}
webhook {url: <secret>, secret: <secret>}
service db, restart {max: 3, command: {argv: [systemctl, restart, {service}]}}
  instance db
    tcp (liveness): tcp {address: db:5432} every {retries: 5, start_period: 30s}
service api, min_healthy 2, restart {mode: signal, for: 30s, command: {argv: [x]}}
  depends on db (service_healthy), restart
  instance one at 10.0.0.1
    tcp (liveness): tcp {address: 10.0.0.1:8000} every {timeout: 2s, retries: 5}
    tcp-2 (liveness): tcp {address: 10.0.0.1:8001} every {interval: 1m, timeout: 20s, retries: 5}
    config (gate): exec {argv: [test, -e, /run/api-one]} every {timeout: 2s, retries: 5}
  instance two at 10.0.0.2
    tcp (liveness): tcp {address: 10.0.0.2:8000} every {timeout: 2s, retries: 5}
    tcp-2 (liveness): tcp {address: 10.0.0.2:8001} every {interval: 1m, timeout: 20s, retries: 5}
    config (gate): exec {argv: [test, -e, /run/api-two]} every {timeout: 2s, retries: 5}
service worker, restart {max: 3, command: {argv: [systemctl, restart, {service}]}}
  instance worker
    heartbeat (liveness): heartbeat {max_age: 1m, name: worker} every {retries: 5, start_period: 1m}
service web, all addresses, restart {max: 3, command: {argv: [systemctl, restart, {service}]}}
  depends on api (service_started)
  instance web
    tcp (readiness): tcp {address: web:80} every {retries: 5}
)");
}

TEST_CASE("what is wrong with a configuration is told at its place")
{
    auto [text, problems] = GENERATE(table<std::string, std::string>({
        {"",
         "f: warning: the file is empty: nothing is watched; see docs/reference.md for a first "
         "configuration\n"},
        {"mode: act\n",
         "f: warning: there are no services: nothing is watched; add some under the key \"services\"\n"},
        {"services: {a: }\n",
         "f:1:1: warning: there are no probes: nothing is watched; give the services probes\n"},
        {"hello\n",
         "f:1:1: expected a mapping, found \"hello\"; known here: project, mode, max_restarts_at_once, "
         "state_path, defaults, self_check, external_url, alert_after, alertmanager, webhooks, docker, "
         "lease, "
         "services\n"},
        {"servces: {}\n",
         "f: warning: there are no services: nothing is watched; add some under the key \"services\"\n"
         "f:1:1: servces: unknown key \"servces\"; did you mean \"services\"?\n"},
        {"mode: sginal\nservices: {a: {probes: [{tcp: 'a:1'}]}}\n",
         "f:1:7: mode: expected observe, signal, act, found \"sginal\"; did you mean \"signal\"?\n"},
        {"project: my shop\nservices: {a: {probes: [{tcp: 'a:1'}]}}\n",
         "f:1:10: project: \"my shop\" cannot be a name; use at most 63 letters, digits, \"_\", \"-\" and "
         "\".\", not "
         "beginning with \"-\" or \".\"\n"},
        {"services: [a, b]\n",
         "f:1:11: services: expected a mapping from names to services, found a list; write "
         "\"name:\" without \"- \"\n"},
        {"services:\n  a:\n    probes:\n      - tcp: a:1\n  a:\n    probes:\n      - tcp: a:1\n",
         "f:5:3: the key \"a\" is here twice; the first one is in line 2\n"},
        {"services: {a: {probes: [{tcp: 'a:1'}]}, b: {}}\n",
         "f:1:41: warning: services.b: nothing probes this service: its state stays unknown; give it "
         "probes\n"},
    }));
    CAPTURE(text);
    CHECK(problems_of(text) == problems);
}

TEST_CASE("what is wrong with a probe is told at its place")
{
    auto [text, problems] = GENERATE(table<std::string, std::string>({
        {"prob: []", "f:4:5: services.s.prob: unknown key \"prob\"; did you mean \"probes\"?\n"},
        {"probes: {tcp: a:1}",
         "f:4:13: services.s.probes: expected a list, found a mapping; begin each probe with \"- \"\n"},
        {"probes: [tcp]",
         "f:4:14: services.s.probes[0]: expected a probe such as {tcp: \"db:5432\"}, found \"tcp\"\n"},
        {"probes: [{tpc: 'a:1'}]",
         "f:4:15: services.s.probes[0].tpc: unknown key \"tpc\"; did you mean \"tcp\"?\n"},
        {"probes: [{name: a}]",
         "f:4:14: services.s.probes[0]: no kind of probe is given; add one of KINDS\n"},
        {"probes: [{tcp: 'a:1', exec: [b]}]",
         "f:4:27: services.s.probes[0]: one probe is of one kind, found tcp and exec; begin another entry "
         "with \"- \"\n"},
        {"probes: [{tcp: 'a:1', timout: 5s}]",
         "f:4:27: services.s.probes[0].timout: unknown key \"timout\"; did you mean \"timeout\"?\n"},
        {"probes: [{tcp: a}]",
         "f:4:20: services.s.probes[0].tcp: expected host:port, such as \"redis:6379\" or "
         "\"[::1]:6379\", found \"a\"\n"},
        {"probes: [{tcp: {adress: 'a:1'}}]",
         "f:4:15: services.s.probes[0].tcp: the key \"address\" is missing; host:port to connect to\n"
         "f:4:21: services.s.probes[0].tcp.adress: unknown key \"adress\"; did you mean \"address\"?\n"},
        {"probes: [{tcp: 'a:1', name: x}, {tcp: 'a:2', name: x}]",
         "f:4:56: services.s.probes[1]: the name \"x\" is here twice; names are unique within a service\n"},
        {"probes: [{tcp: 'a:1', name: 'a/b'}]",
         "f:4:33: services.s.probes[0]: \"a/b\" cannot be a name; use at most 63 letters, digits, \"_\", "
         "\"-\" and "
         "\".\", not beginning with \"-\" or \".\"\n"},
        {"probes: [{tcp: 'a:1', interval: 10d}]",
         "f:4:37: services.s.probes[0].interval: expected a duration between 10ms and 1w, found \"10d\"\n"},
        {"probes: [{tcp: 'a:1', start_period: -5s}]",
         "f:4:41: services.s.probes[0].start_period: expected a duration such as \"500ms\", \"10s\" or "
         "\"1m30s\", found "
         "\"-5s\"\n"},
        {"probes: [{tcp: 'a:1', start_period: 2000d}]",
         "f:4:41: services.s.probes[0].start_period: expected a duration between 0s and 366d, found "
         "\"2000d\"\n"},
        {"probes: [{tcp: 'a:1', retries: 0}]",
         "f:4:36: services.s.probes[0].retries: expected a whole number between 1 and 1000, found \"0\"\n"},
        {"probes: [{tcp: 'a:1', interval: \"${NONE}\"}]",
         "f:4:37: services.s.probes[0].interval: the variable NONE is not set; set it, or give a default: "
         "${NONE:-default}\n"},
        {"probes: [{tcp: 'a:1', interval: 2s}]",
         "f:4:14: warning: services.s.probes[0]: the timeout (5s) is longer than the interval (2s); attempts "
         "are skipped "
         "while one is still waiting\n"},
        {"probes: [{tcp: 'a:1', role: gate}]",
         "f:3:3: warning: services.s: its gate is never asked; only failures of a liveness probe ask for a "
         "restart\n"
         "f:3:3: warning: services.s: nothing watches this service once it has started; give it a liveness "
         "or "
         "readiness probe\n"},
        {"probes: [{tcp: \"{address}:1\"}]",
         "f:4:5: services.s.probes: {address} stands for nothing here: the service has no instances with "
         "addresses; add "
         "\"instances\"\n"},
    }));
    CAPTURE(text);
    auto expected = problems;
    if (const auto at = expected.find("KINDS"); at != expected.npos)
        expected.replace(at, 5, fmt::format("{}", fmt::join(kind_names(), ", ")));
    CHECK(problems_of_service(text) == expected);
}

TEST_CASE("what is wrong with a service is told at its place")
{
    auto [text, problems] = GENERATE(table<std::string, std::string>({
        {"instances: 5",
         "f:4:16: services.s.instances: expected a list of addresses, a mapping from names to addresses, "
         "or all, found \"5\"\n"},
        {"instances: [a, b, a]", "f:4:23: services.s.instances[2]: the instance \"a\" is here twice\n"},
        {"instances: [a b]",
         "f:4:17: services.s.instances[0]: \"a b\" cannot be the name of an instance; use letters, "
         "digits and _ - . : [ ] %\n"},
        {"instances: []",
         "f:4:5: services.s.instances: no instances are given; remove the key: a service has one "
         "instance by itself\n"},
        {"min_healthy: 2", "f:4:5: services.s: min_healthy is 2, but the service has 1 instance\n"},
        {"depends_on: [ohter]",
         "f:4:18: services.s.depends_on: there is no service \"ohter\"; did you mean \"other\"?\n"},
        {"depends_on: [s]",
         "f:4:18: services.s.depends_on: services depend on each other in a circle: s -> s; remove one "
         "of these dependencies\n"},
        {"depends_on: [other, other]", "f:4:25: services.s.depends_on[1]: \"other\" is here twice\n"},
        {"depends_on: {other: {condition: healthy}}",
         "f:4:37: services.s.depends_on.other.condition: expected service_started, service_healthy, "
         "service_completed_successfully, found \"healthy\"\n"},
        {"restart: {backoff: 10m, backoff_max: 5m}",
         "f:4:29: services.s.restart: backoff_max (5m) is less than backoff (10m)\n"},
        {"restart: {mode: act}",
         "f:4:15: services.s.restart: mode act needs something to restart with: a command, or docker\n"},
        {"restart: {command: {argv: [x], enviroment: {}}}",
         "f:4:36: services.s.restart.command.enviroment: unknown key \"enviroment\"; did you mean "
         "\"environment\"?\n"},
    }));
    CAPTURE(text);
    CHECK(problems_of_service(text) == problems);
}

TEST_CASE("a circle of dependencies is named whole, once")
{
    CHECK(problems_of("services:\n"
                      "  a: {depends_on: [b], probes: [{tcp: 'a:1'}]}\n"
                      "  b: {depends_on: [c]}\n"
                      "  c: {depends_on: {d: , b: }}\n"
                      "  d: {}\n") ==
          "f:4:25: services.c.depends_on: services depend on each other in a circle: b -> c -> b; remove one "
          "of these "
          "dependencies\n");
}

TEST_CASE("secrets are never repeated, wherever they stand")
{
    const auto text = GENERATE(
        as<std::string>{}, "webhooks: [{url: x, secret: [hunter2]}]",
        "webhooks: [{url: x, secret: {hunter2: 1}}]", "webhooks: [{url: x, secret: hunter2, timeout: 5}]",
        "webhooks: [{url: x, secret: hunter2, secret_file: /nonexistent}]",
        "webhooks: [{url: x, timeout: \"${PASSWORD}\"}]",
        "webhooks: [{url: \"http://me:hunter2@\", retries: x}]", "mode: \"${PASSWORD}\"",
        "services: {a: {instances: [\"${PASSWORD} x\"], probes: [{tcp: \"${PASSWORD}\"}]}}",
        "services: {a: {depends_on: [\"${PASSWORD}\"], probes: [{tcp: \"me:hunter2@host:1\"}]}}",
        "services: {a: {probes: [{exec: \"${PASSWORD} x\"}]}}",
        "services: {a: {probes: [{tcp: 'a:1', name: \"${PASSWORD}/\"}]}}");
    CAPTURE(text);
    const auto loaded = parse(text);
    CHECK_FALSE(loaded.problems.empty());
    CHECK_FALSE(render(loaded.problems).contains("hunter2"));
    if (!loaded.config.webhooks.empty())
        CHECK_FALSE(text_of(loaded.config).contains("hunter2"));
}

TEST_CASE("a secret of the configuration is not in the environment of programs")
{
    const auto has_variable = [] {
        return std::ranges::any_of(environment_for_child({}), [](const auto& entry) {
            return entry.starts_with("KEEPWELL_TEST_HOOK=");
        });
    };
    ::setenv("KEEPWELL_TEST_HOOK", "hunter-of-the-hook", 1);
    CHECK(has_variable());
    CHECK(parse("webhooks: [{url: \"http://x/\", secret: hunter-of-the-hook}]").ok());
    CHECK_FALSE(has_variable());
}

TEST_CASE("a heartbeat is expected under the service's name, or under its own")
{
    const auto loaded =
        parse("services: {worker: {probes: [{heartbeat: 1m}, {heartbeat: {max_age: 1m, name: other}}]}}");
    REQUIRE(loaded.ok());
    const auto& probes = loaded.config.stack.services[0].instances[0].probes;
    REQUIRE(probes.size() == 2);
    CHECK(std::get<HeartbeatSpec>(*probes[0].spec) == HeartbeatSpec{.max_age = 1min, .name = "worker"});
    CHECK(std::get<HeartbeatSpec>(*probes[1].spec).name == "other");
}

TEST_CASE(
    "what is wrong of keys that were read is told beside those that were not, and nothing that follows from "
    "these")
{
    using Strings = std::vector<std::string>;
    const auto [text, told, untold] = GENERATE(table<std::string, Strings, Strings>({
        {"restart: {jitter: 2, max: 0}", {"restart.max: expected", "jitter must be between 0 and 1"}, {}},
        {"restart: {backoff: 1h, backoff_max: x}", {"backoff_max: expected"}, {"less than"}},
        {"restart: {backoff: 1h, backof_max: 2h}", {"unknown key"}, {"less than"}},
        {"restart: {backoff: 1h, max: x}", {"max: expected", "is less than backoff"}, {}},
        {"restart: {mode: act, command: {user: root}}",
         {"\"argv\" is missing"},
         {"needs something to restart"}},
        {"probes: [{postgres: {address: 'a:1', role: boss, expect: 1}}]",
         {"role: expected", "need a `query`"},
         {}},
        {"probes: [{postgres: {address: 'a:1', qery: x, expect: 1}}]", {"unknown key"}, {"need a `query`"}},
        {"probes: [{postgres: {address: 'a:1', query: '${NONE}', expect: 1}}]",
         {"NONE is not set"},
         {"need a `query`"}},
        {"probes: [{postgres: {address: 'a:1', password: x, role: boss}}]",
         {"role: expected"},
         {"only used"}},
        {"probes: [{http: {url: 'http://a', method: GE T, http_version: 7}}]",
         {"http_version: expected", "is not a request method"},
         {}},
        {"probes: [{http: {url: a, tls: {insecure: true}, follow_redirects: false}}]",
         {"url: "},
         {"begins with https"}},
        {"probes: [{http: {tls: {insecure: true}, follow_redirects: false, method: GE T}}]",
         {"\"url\" is missing", "is not a request method"},
         {"begins with https"}},
        {"probes: [{redis: {address: 'a:1', username: u, password_file: /none}}]",
         {"cannot read the secret"},
         {"needs a password"}},
        {"probes: [{dns: {name: a, type: X, addresses: ['1::', b]}}]",
         {"type: expected", "\"b\" is not an IPv4"},
         {"go with"}},
        {"probes: [{exec: {argv: {}, exit_codes: 0}}]", {"argv: expected"}, {"needs `argv`"}},
    }));
    const auto problems = problems_of_service(text);
    CAPTURE(text, problems);
    for (const auto& words : told)
        CHECK_THAT(problems, Catch::Matchers::ContainsSubstring(words));
    for (const auto& words : untold)
        CHECK_THAT(problems, !Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE("a webhook's faults do not hide each other")
{
    const std::string beside = GENERATE("format: telegraph", "timeout: x", "url: 5");
    const auto problems =
        problems_of("webhooks: [{events: [bad], " + beside +
                    (beside.starts_with("url") ? "" : ", url: 'http://a'") + "}]\nservices: {}\n");
    CAPTURE(problems);
    CHECK_THAT(problems, Catch::Matchers::ContainsSubstring("there is no event \"bad\""));
    CHECK_THAT(problems, Catch::Matchers::ContainsSubstring(beside.substr(0, beside.find(':'))));
}

TEST_CASE("all problems of a file are told at once, in its order")
{
    const auto problems =
        parse("mode: x\nservices:\n  a: {probes: [{tcp: b, role: y, retries: z}]}\n  '-': 5\n").problems;
    REQUIRE(problems.size() == 6);
    CHECK(problems[0].mark == Mark{1, 7});
    CHECK(problems[5].mark.line == 4);
}

TEST_CASE("a configuration of ten megabytes is loaded, a larger one refused")
{
    std::string text = "services:\n";
    for (int i = 0; text.size() < 9'900'000; ++i)
        text += fmt::format("  service-{}:\n    depends_on: [service-{}]\n    probes:\n      - exec: [{}]\n",
                            i, i == 0 ? 1 : i - 1, std::string(500, 'x'));
    text.replace(text.find("[service-1]"), 11, "[]         ");
    const auto loaded = parse(text);
    CHECK(loaded.problems.empty());
    CHECK(loaded.config.stack.services.size() > 15'000);
    CHECK(problems_of(text + std::string(200'000, '#')) ==
          "f: larger than 10000000 bytes; split the configuration\n");
}

TEST_CASE("of a file with a million mistakes the first thousand are told, and soon")
{
    std::string text = "services:\n";
    for (int i = 0; i < 10'000; ++i)
        text += fmt::format("  s{}: {{prob: 1, depends_on: [t{}], timeout: x}}\n", i, i);
    const auto problems = parse(text).problems;
    CHECK(problems.size() == most_problems + 1);
    CHECK(problems.front().text == "more than 1000 problems");
}

TEST_CASE("what is absurd in number is refused")
{
    std::string many = "services:\n";
    for (int i = 0; i < 100'001; ++i)
        many += fmt::format("  s{}:\n", i);
    CHECK(problems_of(many) == "f:1:1: services: more than 100000 services; run several keepwells\n");

    std::string product = "services:\n  a:\n    instances: [";
    for (int i = 0; i < 1000; ++i)
        product += fmt::format("i{}, ", i);
    product += "]\n    probes:\n";
    for (int i = 0; i < 1000; ++i)
        product += "      - tcp: a:1\n";
    CHECK(problems_of(product).starts_with("f:4:5: services.a.probes: more than 200000 probes"));
}

TEST_CASE("a file is read with its directory, and what cannot be read is a problem")
{
    const auto directory =
        std::filesystem::temp_directory_path() / fmt::format("keepwell-config-{}", ::getpid());
    std::filesystem::create_directories(directory);
    std::ofstream{directory / "token"} << "hunter2\n";
    std::ofstream{directory / "k.yaml"} << "webhooks: [{url: 'http://x/', secret_file: token}]\n"
                                           "services: {a: {probes: [{tcp: 'a:1'}]}}\n";
    const auto path = (directory / "k.yaml").string();
    const auto loaded = load_config(path);
    CHECK(render(loaded.problems) == "");
    REQUIRE(loaded.config.webhooks.size() == 1);
    CHECK(loaded.config.webhooks[0].secret.reveal() == "hunter2");
    CHECK(render(load_config(path + "x").problems) ==
          path +
              "x: cannot read the configuration: No such file or directory; "
              "check the path and its permissions\n");
    CHECK(render(load_config(directory.string()).problems).contains("Is a directory"));
    std::filesystem::remove_all(directory);
}

TEST_CASE("a list of statuses is one value")
{
    CHECK(
        text_of(*make_probe("http", "http://a/", std::vector<std::string>{"status=[200, 3xx]"}).probe.spec) ==
        "http {url: http://a/, status: 200,300-399}");
    const auto bad = make_probe("http", "http://a/", std::vector<std::string>{"status=[200, [3]]"});
    CHECK(render(bad.problems) == "http.status[1]: expected text, found a list\n");
}

TEST_CASE("a probe is made from a command line")
{
    const std::vector<std::string> settings{"argv=[a, \"b c\"]", "timeout=2s", "environment.A=1",
                                            "exit_codes=3"};
    const auto loaded = make_probe("exec", "", settings);
    CHECK(render(loaded.problems) == "");
    REQUIRE(loaded.probe.spec);
    const auto& spec = std::get<ExecSpec>(*loaded.probe.spec);
    CHECK(spec.argv == std::vector<std::string>{"a", "b c"});
    CHECK(spec.environment.at("A") == "1");
    CHECK(spec.exit_codes == std::vector{3});
    CHECK(loaded.probe.timing.timeout == Duration{2s});
    CHECK(make_probe("tcp", "db:1").probe.name == "tcp");
    const std::vector<std::string> program{"nginx", "-t", "-g", "user root;"};
    CHECK(std::get<ExecSpec>(*make_probe("exec", program).probe.spec).argv == program);
    CHECK(render(make_probe("tcp", program).problems) == "tcp.address: expected a host:port, found a list\n");

    const auto words = [](std::string_view kind, std::string_view target, std::vector<std::string> all = {}) {
        return render(make_probe(kind, target, all).problems);
    };
    CHECK(words("tpc", "a:1") == "unknown kind \"tpc\"; did you mean \"tcp\"?\n");
    CHECK(words("tcp", "a") ==
          "tcp.address: expected host:port, such as \"redis:6379\" or \"[::1]:6379\", found \"a\"\n");
    CHECK(words("tcp", "") == "tcp: the key \"address\" is missing; host:port to connect to\n");
    CHECK(words("tcp", "a:1", {"timeout"}) == "expected key=value, found \"timeout\"\n");
    CHECK(words("tcp", "a:1", {"adress=x"}) ==
          "tcp.adress: unknown key \"adress\"; did you mean \"address\"?\n");
}
