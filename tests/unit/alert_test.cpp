#include "tests/catch.hpp"
#include "tests/unit/life.hpp"

#include "daemon/alert.hpp"
#include "daemon/document.hpp"
#include "daemon/memory.hpp"

#include <fstream>
#include <iterator>
#include <set>

using namespace keepwell;

namespace {

const WallTime wall_begin = WallTime{} + std::chrono::hours{24 * 365 * 50};

// A life of a stack and what is alerted on in it: `+ServiceUnhealthy(db)` when one begins to fire, with -
// when it has ended.
struct AlertLife {
    Life life;
    Alerts alerts{};
    Clock::time_point begin = life.now;

    explicit AlertLife(std::vector<Service> services)
        : life{StackSpec{.project = "shop", .services = std::move(services)}}
    {
    }

    // As Life::play(), but that time passes second by second.
    std::string play(const std::string& script)
    {
        std::istringstream words{script};
        std::string tape;
        for (std::string word; words >> word;) {
            const auto length = Duration::parse(word);
            if (!length)
                (void)life.play(word);
            tape += look();
            for (auto passed = Clock::duration{}; length && passed < length->value; passed += 1s) {
                (void)life.play("1s");
                tape += look();
            }
        }
        return tape.empty() ? tape : tape.substr(1);
    }

    WallTime wall() const
    {
        return wall_begin + std::chrono::duration_cast<WallTime::duration>(life.now - begin);
    }
    std::string look()
    {
        std::string words;
        for (const auto& alert : alerts.look(life.monitor, life.now, wall()))
            words += std::string{alert.ended_at ? " -" : " +"} + alert.key.rule.substr(8) + "(" +
                     (alert.key.container.empty() ? alert.key.service : alert.key.container) + ")";
        return words;
    }
    const Alert& alert(const std::string& rule, const std::string& service = "db",
                       const std::string& container = "") const
    {
        return alerts.all().at({rule, "shop", service, container});
    }
};

// One restart, and then none for hours.
Service once(Service service)
{
    service.restart.backoff = service.restart.backoff_max = 5h;
    return service;
}

std::vector<Service> shop()
{
    return {once(a_service("db")), once(a_service("api", {on("db")})), once(a_service("page", {on("api")})),
            once(a_service("other"))};
}

constexpr auto all_well = "db+ api+ page+ other+ ";

}  // namespace

TEST_CASE("alert: the root of an outage alone fires, when it lasts, and ends when it is known to be over")
{
    auto [script, expected] = GENERATE(table<std::string, std::string>({
        {"db- db- 119s", ""},
        {"db- db- 2m", "+ServiceUnhealthy(db)"},
        {"db- db- 1m db+ 10m", ""},
        {"db- db- 2m db+", "+ServiceUnhealthy(db) -ServiceUnhealthy(db)"},
        // Whoever needs it never fires, whoever notices first.
        {"db- db- api- api- page- page- 3m", "+ServiceUnhealthy(db)"},
        {"api- api- page- page- db- db- 3m", "+ServiceUnhealthy(db)"},
        {"api- api- 1m db- db- 119s", ""},
        // Of itself it does, and goes on when its dependency falls ill as well.
        {"api- api- 2m db- db- 1m db+ api+", "+ServiceUnhealthy(api) -ServiceUnhealthy(api)"},
        // Two outages are two alerts.
        {"db- db- other- other- 2m", "+ServiceUnhealthy(db) +ServiceUnhealthy(other)"},
        // A restart that does not help is one outage, and no end of the alert.
        {"db- db- 1m start:db db- db- 1m", "+ServiceUnhealthy(db)"},
        {"db- db- 2m start:db 1m db- db- 1m", "+ServiceUnhealthy(db)"},
        {"db- db- 2m start:db 1m db+", "+ServiceUnhealthy(db) -ServiceUnhealthy(db)"},
        // That nothing can be said is no end either.
        {"db- db- 2m db? db? 5m", "+ServiceUnhealthy(db)"},
        {"db- db- 2m db? db? 10m", "+ServiceUnhealthy(db) +ServiceUnknown(db)"},
        // What a person takes into their own hands is no news.
        {"maintain:db db- db- 20m", ""},
        {"db- db- 2m maintain:db 1m", "+ServiceUnhealthy(db) -ServiceUnhealthy(db)"},
        {"db- db- 2m pause:db 1m", "+ServiceUnhealthy(db) -ServiceUnhealthy(db)"},
    }));
    CAPTURE(script);
    AlertLife life{shop()};
    CHECK(life.play(all_well + script) == expected);
}

TEST_CASE("alert: not being healed, quarantine, a failing gate and what cannot be verified")
{
    auto [services, script, expected] = GENERATE(table<std::vector<Service>, std::string, std::string>({
        {{once(a_service("db"))}, "db- db- 599s", "+ServiceUnhealthy(db)"},
        {{once(a_service("db"))}, "db- db- 10m", "+ServiceUnhealthy(db) +ServiceNotHealed(db)"},
        // A restart that has succeeded is something; a quarter of an hour later it was not enough.
        {{once(acting(a_service("db")))}, "db- db- db/ok db- db- 14m", "+ServiceUnhealthy(db)"},
        {{once(acting(a_service("db")))},
         "db- db- db/ok db- db- 26m",
         "+ServiceUnhealthy(db) +ServiceNotHealed(db)"},
        {{once(acting(a_service("db")))},
         "db- db- db/failed 11m",
         "+ServiceUnhealthy(db) +ServiceNotHealed(db)"},
        // The gate is asked again and again; meanwhile it cannot be told whether it fails.
        {{with_gate(acting(a_service("db")))}, "db- db- db/deny 90s", ""},
        {{with_gate(acting(a_service("db")))},
         "db- db- db/deny 150s",
         "+ServiceUnhealthy(db) +GateFailing(db)"},
        {{with_gate(acting(a_service("db")))},
         "db- db- db/deny 150s db+",
         "+ServiceUnhealthy(db) +GateFailing(db) -GateFailing(db) -ServiceUnhealthy(db)"},
        {{a_service("db")}, "db? db? 599s", ""},
        {{a_service("db")}, "db? db? 10m db+", "+ServiceUnknown(db) -ServiceUnknown(db)"},
    }));
    CAPTURE(script);
    AlertLife life{services};
    CHECK(life.play("db+ " + script) == expected);
}

TEST_CASE("alert: an instance in quarantine fires for itself, until somebody resumes it")
{
    AlertLife life{{a_service("db", {}, 2)}};
    life.life.monitor.restore(InstanceId{1}, RestartRecord{.quarantined = true});
    CHECK(life.play("db-1+ db-2- db-2- 59s") == "");
    CHECK(life.play("1s") == "+Quarantined(db-2)");
    CHECK(life.alert("KeepwellQuarantined", "db", "db-2").description.contains("db-2 (db of shop)"));
    CHECK(life.play("resume:db") == "-Quarantined(db-2)");
}

TEST_CASE("alert: keepwell that doubts itself says so, and no more")
{
    AlertLife life{shop()};
    life.life.pass_self_checks = false;
    (void)life.play(all_well);
    (void)life.play("db- api- page- other- self- db- api- page- other- self-");
    CHECK(life.life.monitor.in_doubt());
    CHECK(life.play("15m") == "+SelfDoubt()");
    CHECK(life.play("db+ api+ page+ other+ 1s") == "-SelfDoubt()");
}

TEST_CASE("alert: what is gone after a reload has ended, and what stays goes on")
{
    AlertLife before{shop()};
    (void)before.play(all_well + std::string{"db- db- other- other- 2m"});
    const auto fired_at = before.alert("KeepwellServiceUnhealthy").fired_at;
    AlertLife after{{a_service("web"), a_service("db")}};
    after.alerts = before.alerts;
    CHECK(after.play("1s") == "-ServiceUnhealthy(other)");
    CHECK(after.play("db- db- 3m") == "");
    CHECK(after.alert("KeepwellServiceUnhealthy").fired_at == fired_at);
    CHECK(after.alert("KeepwellServiceUnhealthy").service == 1);
}

TEST_CASE("alert: a restart of keepwell keeps what fires and since when, and ends it when all is well")
{
    AlertLife before{shop()};
    (void)before.play(all_well + std::string{"db- db- 2m other- other- 1m"});
    const auto fired_at = before.alert("KeepwellServiceUnhealthy").fired_at;
    const auto text = memory_text(before.life.monitor, before.alerts, before.life.now, before.wall());

    AlertLife after{shop()};
    CHECK_FALSE(recall(text, after.life.monitor, &after.alerts, after.life.now, before.wall() + 10s));
    CHECK(after.alerts.all().size() == 1);  // what was only pending is not kept
    CHECK(after.play("5m") == "");          // not known yet
    const auto kept = *after.alert("KeepwellServiceUnhealthy").fired_at;
    CHECK(std::chrono::abs(kept - *fired_at) < 1ms);
    SECTION("it is as ill as before")
    {
        CHECK(after.play("db- db- 1m") == "");
        CHECK(after.alert("KeepwellServiceUnhealthy").firing());
    }
    SECTION("it was healed meanwhile") { CHECK(after.play("db+") == "-ServiceUnhealthy(db)"); }
}

TEST_CASE("alert: a state file that makes no sense of alerts is not trusted")
{
    auto alerts = GENERATE(as<std::string>{}, "1", "[1]", "[{}]",
                           R"([{"rule":"KeepwellQuarantined","project":"p","service":"s","container":"c"}])",
                           R"([{"rule":1,"project":"p","service":"s","container":"c","fired_at":1}])");
    CAPTURE(alerts);
    AlertLife life{shop()};
    CHECK(recall(R"({"version":1,"services":{},"alerts":)" + alerts + "}", life.life.monitor, &life.alerts,
                 life.life.now, wall_begin));
}

TEST_CASE("alert: a time in the future is now, and an alert of no rule is forgotten")
{
    AlertLife life{shop()};
    CHECK_FALSE(
        recall(R"({"version":1,"services":{},"alerts":[)"
               R"({"rule":"KeepwellQuarantined","project":"p","service":"s","container":"c","fired_at":9e9},)"
               R"({"rule":"KeepwellGone","project":"p","service":"s","container":"c","fired_at":1}]})",
               life.life.monitor, &life.alerts, life.life.now, wall_begin));
    REQUIRE(life.alerts.all().size() == 1);
    CHECK(life.alerts.all().begin()->second.fired_at == wall_begin);
}

TEST_CASE("alert: its end is never before its begin, whatever the clock does")
{
    AlertLife life{shop()};
    (void)life.play(all_well + std::string{"db- db- 2m"});
    (void)life.life.play("db+");
    const auto ended = life.alerts.look(life.life.monitor, life.life.now, WallTime{});
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].ended_at == ended[0].fired_at);
}

TEST_CASE("alert: how long something lasts until it fires is for the user to say")
{
    AlertLife life{shop()};
    life.alerts.configure({.service_unhealthy = 5s});
    CHECK(life.play(all_well + std::string{"db- db- 4s"}) == "");
    CHECK(life.play("1s") == "+ServiceUnhealthy(db)");
    AlertLife at_once{shop()};
    at_once.alerts.configure({.service_unhealthy = 0s});
    CHECK(at_once.play(all_well + std::string{"db- db-"}) == "+ServiceUnhealthy(db)");
}

TEST_CASE("alert: it says what is wrong, and where people see it")
{
    AlertLife life{shop()};
    (void)life.play(all_well + std::string{"api- api- 2m"});
    const auto& alert = life.alert("KeepwellServiceUnhealthy", "api");
    CHECK(alert.description ==
          "api of shop is unhealthy, while everything that it depends on is well (unhealthy: live timeout, "
          "no answer).");
    CHECK(labels_of(alert.key) == AlertLabels{{"alertname", "KeepwellServiceUnhealthy"},
                                              {"severity", "critical"},
                                              {"compose_project", "shop"},
                                              {"compose_service", "api"}});
    CHECK(link_to(alert, *Url::parse("https://example.org/keepwell")) ==
          "https://example.org/keepwell/#service-1");
    CHECK(link_to(alert, {}).empty());
}

TEST_CASE("alert: there are never too many of them, and they are forgotten after a while")
{
    std::vector<Service> services;
    std::string script;
    for (std::size_t i = 0; i < Alerts::most + 10; ++i) {
        services.push_back(a_service("s" + std::to_string(i)));
        const auto fails = services.back().name + "- ";
        script += fails + fails;
    }
    services.push_back(a_service("fine"));
    AlertLife life{services};
    life.alerts.configure({.service_unhealthy = 0s, .service_not_healed = 1h});
    (void)life.life.play("fine+ " + script);
    (void)life.look();
    CHECK(life.alerts.firing() == Alerts::most);
    CHECK(life.alerts.full());
    for (auto& c : script)
        c = c == '-' ? '+' : c;
    (void)life.life.play(script);
    (void)life.look();
    CHECK(life.alerts.firing() == 0);
    CHECK(life.alerts.wake_at() == life.life.now + Alerts::remembered);
    life.life.now += Alerts::remembered;
    (void)life.look();
    CHECK(life.alerts.all().empty());
    CHECK(life.alerts.wake_at() == Clock::time_point::max());
}

TEST_CASE("alert: names are unique, and each rule has a time of its own")
{
    std::set<std::string_view> names;
    for (const auto& rule : alert_rules())
        CHECK(names.insert(rule.name).second);
    std::apply(
        [&](const auto&... field) {
            for (const auto& name : {field.name...})
                CHECK(names.contains(name));
            CHECK(sizeof...(field) == names.size());
        },
        AlertTimes::fields());
}

TEST_CASE(
    "alert: names, severities and summaries are those of the rules for Prometheus, and so are the times")
{
    std::ifstream file{KEEPWELL_SOURCE_DIR "/dashboards/rules/alerts.yml"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const auto document = parse_document(text, "alerts.yml");
    REQUIRE(document.whole);
    std::map<std::string, const Node*> rules;
    for (const auto& group : document.root.find("groups")->children)
        for (const auto& rule : group.find("rules")->children)
            rules[rule.find("alert")->text] = &rule;
    const AlertTimes times;
    for (const auto& rule : alert_rules()) {
        CAPTURE(rule.name);
        const auto found = rules.find(std::string{rule.name});
        REQUIRE(found != rules.end());
        CHECK(found->second->find("labels")->find("severity")->text == rule.severity);
        CHECK(found->second->find("annotations")->find("summary")->text == rule.summary);
        CHECK(found->second->find("annotations")->find("runbook_url")->text == runbook_url(rule.name));
        CHECK(Duration::parse(found->second->find("for")->text).value() == times.*rule.lasts);
    }
}
