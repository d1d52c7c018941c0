#include "tests/catch.hpp"
#include "tests/unit/life.hpp"
#include "tests/unit/scripted_receiver.hpp"

#include "exporters/alerting.hpp"

#include <boost/json.hpp>

#include <set>

using namespace keepwell;
using namespace keepwell::test;

namespace json = boost::json;

namespace {

const auto now = WallTime{} + std::chrono::hours{24 * 365 * 50};

Alert an_alert()
{
    return {.key = {"KeepwellGateFailing", "shop", "web", "web-1"},
            .fired_at = now - 10s,
            .description = "web-1 \"needs\" a restart",
            .service = 3,
            .looked_at = 1};
}

json::object only_alert(const std::string& body)
{
    const auto array = json::parse(body).as_array();
    REQUIRE(array.size() == 1);
    return array[0].as_object();
}

// A real clock, a monitor of one service per name, and who is told. Alerts fire at once.
struct Bench {
    asio::io_context loop{};
    int changes = 0;
    Alerting alerting{loop, [this](const Alert&) { ++changes; }};
    Monitor monitor;

    explicit Bench(std::vector<std::string> names = {"db", "fine"})
        : monitor{Stack{stack_of(names)}, {&alerting}, Clock::now(), 1}
    {
        alerting.attach(monitor);
        for (const auto& name : names)
            attempt(name, true);
    }
    static StackSpec stack_of(const std::vector<std::string>& names)
    {
        StackSpec spec{.project = "shop"};
        for (const auto& name : names)
            spec.services.push_back(a_service(name));
        return spec;
    }
    void attempt(const std::string& name, bool ok)
    {
        const auto id = *monitor.stack().find(name);
        const auto probe = *monitor.stack().find_probe(monitor.stack().services()[id].first_instance, "live");
        const auto at = Clock::now();
        monitor.observe(probe,
                        {.outcome = ok ? Outcome::ok : Outcome::no_response,
                         .reason = ok ? Reason::none : Reason::timeout,
                         .detail = "\xff",
                         .started = at},
                        at);
        (void)monitor.advance(at);
    }
    void fail(const std::string& name)
    {
        attempt(name, false);
        attempt(name, false);
    }
    void tell(AlertmanagerSettings settings)
    {
        alerting.configure({.service_unhealthy = 0s, .service_not_healed = 1h}, settings, {});
    }
    bool until(const std::function<bool()>& done) { return run_until(loop, done); }
};

AlertmanagerSettings quick(std::initializer_list<const ScriptedReceiver*> members)
{
    AlertmanagerSettings settings{.resend = 300ms, .timeout = 200ms};
    for (const auto* each : members) {
        const auto url = each->url();
        settings.url.push_back(*Url::parse(url.substr(0, url.find("/hook"))));
    }
    return settings;
}

// What the last POST says of each service: true while it fires.
std::map<std::string, bool> told(const ScriptedReceiver& receiver)
{
    std::map<std::string, bool> found;
    for (const auto& post : receiver.posts()) {
        const auto alerts = json::parse(post.body);
        for (const auto& each : alerts.as_array())
            found[std::string{each.at("labels").at("compose_service").as_string()}] =
                each.at("endsAt").as_string() > rfc3339(std::chrono::system_clock::now());
    }
    return found;
}

}  // namespace

TEST_CASE("alertmanager: an alert has the labels and annotations of its rule, and ends by itself")
{
    const AlertmanagerSettings settings{.labels = {{"site", "north"}, {"empty", ""}}, .resend = 1min};
    const auto alert =
        only_alert(alerts_body(std::vector{an_alert()}, settings, *Url::parse("http://k/"), now));
    CHECK(
        json::serialize(alert.at("labels")) ==
        R"({"site":"north","alertname":"KeepwellGateFailing","severity":"critical","compose_project":"shop",)"
        R"("compose_service":"web","container":"web-1","hold":"gate_failed"})");
    CHECK(alert.at("annotations").at("summary") ==
          "A service is unhealthy, and its gate forbids the restart.");
    CHECK(alert.at("annotations").at("description") == "web-1 \"needs\" a restart");
    CHECK(
        alert.at("annotations").at("runbook_url").as_string().ends_with("/runbooks/KeepwellGateFailing.md"));
    CHECK(alert.at("startsAt").as_string() == rfc3339(now - 10s));
    CHECK(alert.at("endsAt").as_string() == rfc3339(now + 4min));
    CHECK(alert.at("generatorURL") == "http://k/#service-3");
}

TEST_CASE("alertmanager: what has ended says when; without an address of our own there is no link")
{
    auto ended = an_alert();
    ended.ended_at = now - 5s;
    const auto alert = only_alert(alerts_body(std::vector{ended}, {}, {}, now));
    CHECK(alert.at("endsAt").as_string() == rfc3339(now - 5s));
    CHECK_FALSE(alert.contains("generatorURL"));
}

TEST_CASE("alertmanager: the request goes where its API is, with what it asks for")
{
    auto [member, target] = GENERATE(table<std::string, std::string>({
        {"http://am:9093", "http://am:9093/api/v2/alerts"},
        {"https://am/", "https://am/api/v2/alerts"},
        {"http://am/alertmanager/", "http://am/alertmanager/api/v2/alerts"},
    }));
    const auto request =
        alerts_request({.username = "me", .password = Secret{"p"}}, *Url::parse(member), "[]");
    CHECK(request.url.whole() == target);
    CHECK(request.method == "POST");
    CHECK(request.username == "me");
    CHECK(request.password.reveal() == "p");
}

TEST_CASE("alertmanager: it is told at once, again and again, and at once of the end")
{
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {200}};
    bench.tell(quick({&receiver}));
    CHECK(bench.until([&] { return bench.alerting.alerts().all().empty(); }));
    const auto begin = Clock::now();
    bench.fail("db");
    CHECK(bench.until([&] { return receiver.posts().size() == 1; }));
    CHECK(Clock::now() - begin < 1s);
    CHECK(receiver.posts()[0].head.starts_with("POST /api/v2/alerts HTTP/1.1\r\n"));
    CHECK(receiver.posts()[0].header("Content-Type") == "application/json");
    CHECK(bench.until([&] { return receiver.posts().size() == 3; }));
    CHECK(Clock::now() - begin >= 590ms);
    const auto first = only_alert(receiver.posts()[0].body), third = only_alert(receiver.posts()[2].body);
    CHECK(first.at("startsAt") == third.at("startsAt"));
    CHECK(first.at("endsAt").as_string() < third.at("endsAt").as_string());
    bench.attempt("db", true);
    CHECK(bench.until([&] { return !told(receiver).at("db"); }));
    CHECK(bench.until([&] { return bench.alerting.figures().delivered == receiver.posts().size(); }));
    CHECK(bench.changes == 2);
    // And no more of it.
    const auto posts = receiver.posts().size();
    bench.fail("fine");
    CHECK(bench.until([&] { return receiver.posts().size() == posts + 1; }));
    CHECK(only_alert(receiver.posts().back().body).at("labels").at("compose_service") == "fine");
}

TEST_CASE("alertmanager: whatever it does at first, it is told of what is so in the end")
{
    auto fault = GENERATE(500, 503, 429, 400, 302, close_it, hang, answer_nonsense);
    CAPTURE(fault);
    Bench bench{{"db", "api", "fine"}};
    ScriptedReceiver receiver{bench.loop, {fault}};
    bench.tell(quick({&receiver}));
    bench.fail("db");
    CHECK(bench.until([&] { return bench.alerting.figures().failed >= 1; }));
    bench.fail("api");
    bench.attempt("db", true);
    CHECK(bench.until([&] { return bench.alerting.alerts().firing() == 1; }));
    receiver.then({200});
    CHECK(bench.until([&] { return bench.alerting.figures().delivered >= 2; }));
    CHECK(told(receiver) == std::map<std::string, bool>{{"db", false}, {"api", true}});
    CHECK(bench.alerting.figures().dropped == 0);
}

TEST_CASE("alertmanager: a dead member or one that hangs does not keep the others waiting")
{
    Bench bench;
    ScriptedReceiver alive{bench.loop, {200}}, hanging{bench.loop, {hang}};
    auto settings = quick({&hanging, &alive});
    settings.url.insert(settings.url.begin(), *Url::parse("http://127.0.0.1:1"));
    settings.timeout = 1h;
    bench.tell(settings);
    bench.fail("db");
    CHECK(bench.until([&] { return alive.posts().size() == 3; }));
    CHECK(hanging.posts().size() == 1);
    CHECK(bench.alerting.figures().failed >= 1);
}

TEST_CASE("alertmanager: many alerts are told in several portions, none of them twice")
{
    std::vector<std::string> names{"fine"};
    for (int i = 0; i < 200; ++i)
        names.push_back("s" + std::to_string(i));
    Bench bench{names};
    ScriptedReceiver receiver{bench.loop, {200}};
    auto settings = quick({&receiver});
    settings.resend = 1h;
    for (std::size_t i = 1; i < names.size(); ++i)
        bench.fail(names[i]);
    bench.tell(settings);
    CHECK(bench.until([&] { return bench.alerting.figures().delivered >= 200; }));
    CHECK(receiver.posts().size() == 4);
    CHECK(told(receiver).size() == 200);
    CHECK(bench.alerting.figures().delivered == 200);
}

TEST_CASE("alertmanager: a reload leaves members that stay in peace, and tells new ones everything")
{
    Bench bench;
    ScriptedReceiver stays{bench.loop, {200}}, goes{bench.loop, {200}}, comes{bench.loop, {200}};
    auto settings = quick({&stays, &goes});
    settings.resend = 1h;
    bench.tell(settings);
    bench.fail("db");
    CHECK(bench.until([&] { return stays.posts().size() == 1 && goes.posts().size() == 1; }));
    settings = quick({&stays, &comes});
    settings.resend = 1h;
    bench.tell(settings);
    CHECK(bench.until([&] { return comes.posts().size() == 1; }));
    bench.attempt("db", true);
    CHECK(bench.until([&] { return stays.posts().size() == 2 && comes.posts().size() == 2; }));
    CHECK(goes.posts().size() == 1);
}

TEST_CASE("alertmanager: a loop that ends in the middle of it leaves nothing behind")
{
    const auto before = open_descriptors();
    {
        Bench bench;
        ScriptedReceiver receiver{bench.loop, {hang}};
        bench.tell(quick({&receiver}));
        bench.fail("db");
        CHECK(bench.until([&] { return receiver.posts().size() == 1; }));
    }
    CHECK(open_descriptors() == before);
}
