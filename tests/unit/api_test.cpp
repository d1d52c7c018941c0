#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "exporters/api.hpp"
#include "exporters/status.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

using namespace keepwell;
using namespace keepwell::test;

namespace {

// An API over a stack of two services that nobody probes, with everything it could call counted.
struct Bench {
    asio::io_context loop{};
    Metrics metrics{};
    History history{};
    Page page{loop, history};
    Watcher watcher;
    std::vector<std::string> beats{};
    int reloads = 0;
    std::string reload_error{};
    Api api;

    Bench()
        : watcher{loop, monitor(), {}},
          api{watcher,
              metrics,
              history,
              page,
              [this]() -> std::expected<void, std::string> {
                  ++reloads;
                  if (!reload_error.empty())
                      return std::unexpected(reload_error);
                  return {};
              },
              [this](const std::string& service) { beats.push_back(service); },
              [] { return DaemonFigures{}; }}
    {
        metrics.attach(watcher.monitor());
        history.attach(watcher.monitor());
        page.attach(watcher.monitor());
    }
    std::unique_ptr<Monitor> monitor()
    {
        StackSpec spec;
        spec.services = {service("db"), service("api", {{.service = "db"}})};
        return std::make_unique<Monitor>(Stack{spec}, std::vector<Sink*>{&metrics, &history, &page},
                                         Clock::now(), 1);
    }
    ApiResponse ask(std::string method, std::string path, bool trusted = true)
    {
        ApiRequest request;
        request.method = std::move(method);
        request.path = std::move(path);
        request.visitor.may_act = trusted;
        request.host = "localhost:5337";
        return api.answer(request);
    }
};

// Also of what is written in slices.
std::string whole_body(ApiResponse response)
{
    while (response.more && response.more(response.body))
        ;
    return response.body;
}

}  // namespace

TEST_CASE("api: every path answers with its status")
{
    Bench bench;
    auto [method, path, status] = GENERATE(table<std::string, std::string, int>({
        {"GET", "/", 200},
        {"GET", "/-/healthy", 200},
        {"HEAD", "/-/healthy", 200},
        {"GET", "/-/ready", 503},  // nothing has been attempted yet
        {"GET", "/health", 503},
        {"GET", "/health/db", 503},
        {"GET", "/health/nobody", 404},
        {"GET", "/health/", 404},
        {"GET", "/health/db/x", 404},
        {"GET", "/api/v1/status", 200},
        {"GET", "/api/v1/services/db", 200},
        {"GET", "/api/v1/services/nobody", 404},
        {"GET", "/api/v1/signals", 200},
        {"DELETE", "/api/v1/status", 405},
        {"GET", "/-/reload", 405},
        {"POST", "/-/reload", 200},
        {"PUT", "/-/reload", 200},
        {"POST", "/api/v1/heartbeat/db", 204},
        {"POST", "/api/v1/heartbeat/nobody", 404},
        {"POST", "/api/v1/maintenance/db", 200},
        {"POST", "/api/v1/maintenance/nobody", 404},
        {"POST", "/api/v1/resume/db", 200},
        {"GET", "/nothing", 404},
        {"GET", "/metrics", 200},
        {"POST", "/metrics", 405},
        {"GET", "/badge/db.svg", 200},
        {"POST", "/badge/db.svg", 405},
        {"GET", "/badge/nobody.svg", 404},
        {"GET", "/badge/db", 404},
        {"GET", "/page/page.css", 200},
        {"GET", "/page/page.html", 404},
        {"GET", "/page/", 404},
        {"GET", "/api/v1/events", 200},
    }));
    CAPTURE(method, path);
    CHECK(bench.ask(method, path).status == status);
}

TEST_CASE("api: from elsewhere one may read and report in, and nothing else")
{
    Bench bench;
    CHECK(bench.ask("GET", "/api/v1/status", false).status == 200);
    CHECK(bench.ask("POST", "/api/v1/heartbeat/db", false).status == 204);
    CHECK(bench.beats == std::vector<std::string>{"db"});
    for (const auto* path : {"/-/reload", "/api/v1/maintenance/db", "/api/v1/resume/db"})
        CHECK(bench.ask("POST", path, false).status == 403);
    CHECK(bench.reloads == 0);
    CHECK(bench.watcher.monitor().service(0).maintenance == false);
}

TEST_CASE("api: no page of a browser beats for a service, but everybody else does")
{
    Bench bench;
    const auto [host, origin, site, may_act, status] =
        GENERATE(table<std::string, std::string, std::string, bool, int>({
            {"keepwell:5337", "", "", false, 204},
            {"localhost:5337", "", "cross-site", true, 403},
            {"localhost:5337", "", "same-site", true, 403},
            {"localhost:5337", "http://evil.example", "", true, 403},
            {"localhost:5337", "null", "", true, 403},
            {"localhost:5337", "http://localhost:5337, http://evil.example", "", true, 403},
            {"evil.example:5337", "http://evil.example:5337", "same-origin", true, 403},  // DNS rebinding
            {"localhost:5337", "http://localhost:5337", "same-origin", false, 204},
        }));
    CAPTURE(host, origin, site);
    const ApiRequest request{.method = "POST",
                             .path = "/api/v1/heartbeat/db",
                             .host = host,
                             .origin = origin,
                             .fetch_site = site,
                             .visitor = {.may_act = may_act}};
    CHECK(bench.api.answer(request).status == status);
    CHECK(bench.beats.size() == (status == 204 ? 1 : 0));
}

TEST_CASE("api: another site's page cannot press our buttons")
{
    Bench bench;
    ApiRequest request{.method = "POST",
                       .path = "/-/reload",
                       .host = "localhost:5337",
                       .origin = "http://evil.example",
                       .visitor = {.may_act = true}};
    CHECK(bench.api.answer(request).status == 403);
    request.origin = "http://localhost:5337";
    CHECK(bench.api.answer(request).status == 200);
}

TEST_CASE("api: a browser may change things only on the page of this host, reached by a name that is its own")
{
    Bench bench;
    struct Row {
        std::string host, origin, fetch_site;
        int status;
    };
    const auto row = GENERATE(
        Row{"localhost:5337", "http://localhost:5337", "same-origin", 200},
        Row{"127.0.0.1:5337", "http://127.0.0.1:5337", "same-origin", 200},
        Row{"[::1]:5337", "http://[::1]:5337", "", 200},
        Row{"keepwell.localhost", "http://keepwell.localhost", "", 200},
        Row{"localhost:5337", "", "none", 200},                 // typed in by hand
        Row{"anything.example", "", "", 200},                   // no browser
        Row{"localhost:5337", "http://evil.example", "", 403},  // an old browser
        Row{"localhost:5337", "null", "", 403},                 // a sandboxed frame
        Row{"localhost:5337", "http://localhost:8080", "same-site", 403},
        Row{"localhost:5337", "", "cross-site", 403},
        Row{"evil.example:5337", "http://evil.example:5337", "same-origin", 403},  // which points here now
        Row{"192.0.2.1", "http://192.0.2.1", "", 403},                             // a proxy on this host
        Row{"localhost.evil.example", "http://localhost.evil.example", "", 403},
        Row{"[::1", "http://[::1", "", 403}, Row{":", "http://:", "", 403});
    CAPTURE(row.host, row.origin, row.fetch_site);
    ApiRequest request{.method = "POST",
                       .path = "/api/v1/maintenance/db",
                       .host = row.host,
                       .origin = row.origin,
                       .fetch_site = row.fetch_site,
                       .visitor = {.may_act = true}};
    CHECK(bench.api.answer(request).status == row.status);
    CHECK(bench.watcher.monitor().service(0).maintenance == (row.status == 200));
    request.path = "/api/v1/resume/db";
    CHECK(bench.api.answer(request).status == row.status);
}

TEST_CASE("api: the page's buttons lead back to it where there is no script")
{
    Bench bench;
    ApiRequest request{.method = "POST",
                       .path = "/api/v1/maintenance/api",
                       .accept = "text/html,*/*;q=0.8",
                       .visitor = {.may_act = true}};
    const auto answer = bench.api.answer(request);
    CHECK(answer.status == 303);
    CHECK(answer.headers.at(0).second == "/#service-1");
}

TEST_CASE("api: what is only looked at opens no stream")
{
    Bench bench;
    CHECK(bench.ask("DELETE", "/api/v1/events").status == 405);
    CHECK_FALSE(bench.ask("HEAD", "/api/v1/events").events);
    CHECK(bench.ask("GET", "/api/v1/events").events);
}

TEST_CASE("api: maintenance is set with a note, shown, and ended by resume")
{
    Bench bench;
    ApiRequest request{.method = "POST",
                       .path = "/api/v1/maintenance/db",
                       .query = {{"note", "new disk"}},
                       .visitor = {.may_act = true}};
    CHECK(whole_body(bench.api.answer(request)).find("new disk") != std::string::npos);
    CHECK(bench.ask("GET", "/health/db").status == 200);
    CHECK(bench.ask("GET", "/health/db").body == "maintenance\n");
    bench.ask("POST", "/api/v1/resume/db");
    CHECK(bench.ask("GET", "/health/db").status == 503);
}

TEST_CASE("api: the status of many comes in slices, and whole; also when they become fewer meanwhile")
{
    Metrics metrics;
    const auto monitor_of = [&](int services) {
        StackSpec spec;
        for (int i = 0; i < services; ++i)
            spec.services.push_back(service("s" + std::to_string(i)));
        return Monitor{Stack{spec}, std::vector<Sink*>{&metrics}, Clock::now(), 1};
    };
    const auto many = monitor_of(1000);
    const auto fewer = monitor_of(GENERATE(0, 1, 500, 1000));
    StatusWriter writer;
    std::string body;
    int slices = 1;
    for (std::size_t before = 0; writer.write(body, slices < 3 ? many : fewer, Clock::now()); ++slices) {
        CHECK(body.size() - before < 64 << 10);
        before = body.size();
    }
    CHECK(slices > 2);
    const auto document = boost::json::parse(body).as_object();
    const auto found = document.at("services").as_array();
    CHECK((found.size() < 1000) == (fewer.stack().services().size() < 1000));
    for (std::size_t i = 0; i < found.size(); ++i)
        CHECK(boost::json::value_to<std::string>(found[i].at("name")) == "s" + std::to_string(i));

    body.clear();
    StatusWriter one{7};
    while (one.write(body, many, Clock::now()))
        ;
    CHECK(boost::json::value_to<std::string>(boost::json::parse(body).at("name")) == "s7");
    CHECK(boost::json::parse(body).at("instances").as_array().size() == 1);
}

TEST_CASE("api: a refused reload says why")
{
    Bench bench;
    bench.reload_error = "keepwell.yaml:3:1: unknown key";
    const auto answer = bench.ask("POST", "/-/reload");
    CHECK(answer.status == 500);
    CHECK(answer.body.find("keepwell.yaml:3:1") != std::string::npos);
}

TEST_CASE("api: request targets are decoded, malformed ones refused")
{
    CHECK(split_target("/a%20b?x=1&y=a+b%26")->first == "/a b");
    CHECK(split_target("/a?x=1&y=a+b%26&z")->second ==
          std::map<std::string, std::string>{{"x", "1"}, {"y", "a b&"}, {"z", ""}});
    for (const auto* target : {"", "a", "*", "http://x/", "/%", "/%2", "/%zz", "/%00", "/?a=%g0"}) {
        CAPTURE(target);
        CHECK_FALSE(split_target(target));
    }
}
