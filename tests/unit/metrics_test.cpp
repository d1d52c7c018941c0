#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "exporters/exposition.hpp"
#include "exporters/metrics.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>

using namespace keepwell;
using namespace keepwell::test;

namespace {

// What differs from run to run or build to build becomes 0, so that the rest can be compared to the letter.
std::string without_variables(const std::string& page)
{
    static const std::regex variable{
        "^((process_|keepwell_build_info|[a-z_]+_timestamp_seconds)[^\\n]*) [^ \\n]+$",
        std::regex::multiline | std::regex::ECMAScript};
    static const std::regex compiler{"compiler=\"[^\"]*\""};
    static const std::regex version_label{"version=\"[^\"]*\""};
    std::string lines;
    std::size_t begin = 0;
    while (begin < page.size()) {
        const auto end = page.find('\n', begin);
        auto line = page.substr(begin, end - begin);
        if (!line.starts_with('#'))
            line = std::regex_replace(line, variable, "$1 0");
        lines += std::regex_replace(std::regex_replace(line, compiler, "compiler=\"x\""), version_label,
                                    "version=\"x\"") +
                 "\n";
        begin = end + 1;
    }
    return lines;
}

std::string golden_path() { return std::string{KEEPWELL_SOURCE_DIR} + "/tests/golden/metrics.txt"; }

// A small stack in which something of everything has happened.
std::string everything(Format format = Format::text)
{
    Metrics metrics;
    StackSpec spec;
    spec.project = "shop \"1\"\n";
    spec.services = {service("db"),
                     service("api", {{.service = "db"}}, {tcp_probe(), tcp_probe("ready", Role::readiness)})};
    const auto start = Clock::time_point{100s};
    Monitor monitor{Stack{spec}, {&metrics}, start, 1};
    metrics.attach(monitor);
    auto now = start;
    for (int i = 0; i < 4; ++i) {
        now += 10s;
        monitor.observe(
            0, result(Outcome::no_response, Reason::connection_refused, now - 3ms, "connection refused"),
            now);
        auto answer = result(Outcome::ok, Reason::none, now - 3ms);
        answer.facts = {{"http_status_code", 200}, {"certificate_expiry_timestamp_seconds", 1.8e9}};
        answer.phase_took[static_cast<std::size_t>(Phase::connect)] = 1ms;
        monitor.observe(1, answer, now);
        monitor.observe(2, result(Outcome::rejected, Reason::status_mismatch, now - 3ms), now);
        monitor.self_checked(result(Outcome::ok, Reason::none, now), now);
        monitor.advance(now);
    }
    metrics.action_finished(0, {.result = ActionResult::failed, .took = 2s}, now);
    return metrics.page({.reload_ok_timestamp_seconds = 1,
                         .webhooks = {.delivered = 3},
                         .alertmanager = {.delivered = 2},
                         .alerts_firing = 1,
                         .follows_engine = true,
                         .engine_up = true,
                         .engine_events = 7,
                         .engine_looks = 2,
                         .probes_on_demand = true,
                         .unknown_modules = 1},
                        format);
}

}  // namespace

TEST_CASE("metrics: the whole page is as it is in the golden file")
{
    const auto page = without_variables(everything());
    if (std::getenv("WRITE_GOLDEN"))
        std::ofstream{golden_path()} << page;
    std::ifstream file{golden_path()};
    const std::string golden{std::istreambuf_iterator<char>{file}, {}};
    CHECK(page == golden);
}

TEST_CASE("metrics: as OpenMetrics the page tells of the same series, and of attempts as exemplars")
{
    const std::regex exemplar{" # \\{[^}]*\\} [^ \n]+ [^ \n]+"};
    const auto text = without_variables(everything());
    const auto page = everything(Format::openmetrics);
    CHECK(page.ends_with("\n# EOF\n"));
    CHECK(page.contains("# TYPE keepwell_probe_attempts counter\n"));
    CHECK(std::regex_search(
        page,
        std::regex{
            "le=\"0\\.005\"\\} 4 # \\{outcome=\"rejected\",reason=\"status_mismatch\",phase=\"[a-z]+\"\\} "
            "0\\.003[0-9]* [0-9.]+\n"}));
    // Without exemplars, and comments aside, it is the other format's page.
    const auto samples = [](const std::string& of) {
        return std::regex_replace(of, std::regex{"(^|\n)#[^\n]*(?=\n)"}, "");
    };
    CHECK(samples(without_variables(std::regex_replace(page, exemplar, ""))) == samples(text));
}

TEST_CASE("metrics: who prefers OpenMetrics gets it")
{
    const auto [accept, format] = GENERATE(table<const char*, Format>({
        {"", Format::text},
        {"*/*", Format::text},
        {"text/plain", Format::text},
        {"application/openmetrics-text", Format::openmetrics},
        {"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         Format::openmetrics},
        {"text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5", Format::text},
        {"application/openmetrics-text;q=0", Format::text},
        {"application/openmetrics-text;q=x", Format::openmetrics},
    }));
    CAPTURE(accept);
    CHECK(format_for(accept) == format);
}

TEST_CASE("metrics: labels are escaped, and numbers are written as Prometheus reads them")
{
    CHECK(label("a", "x\\\"\n\xff") == "a=\"x\\\\\\\"\\n\xef\xbf\xbd\"");
    std::string out;
    Exposition exposition{out};
    exposition.family("f", "gauge", "Help.");
    exposition.sample({}, 1e18);
    exposition.sample("a=\"b\"", 0.1);
    exposition.sample("_bucket", "a=\"b\"", "le=\"+Inf\"", std::numeric_limits<double>::infinity());
    CHECK(out ==
          "# HELP f Help.\n# TYPE f gauge\nf 1e+18\nf{a=\"b\"} 0.1\nf_bucket{a=\"b\",le=\"+Inf\"} +Inf\n");
}

TEST_CASE("metrics: series of removed services disappear, the others count on")
{
    Metrics metrics;
    StackSpec spec;
    spec.services = {service("kept"), service("removed")};
    Monitor before{Stack{spec}, {&metrics}, Clock::time_point{}, 1};
    metrics.attach(before);
    before.observe(0, result(Outcome::ok), Clock::time_point{2s});
    before.observe(1, result(Outcome::ok), Clock::time_point{2s});

    spec.services = {service("added"), service("kept")};
    Monitor after{Stack{spec}, {&metrics}, Clock::time_point{3s}, 1};
    metrics.attach(after);
    const auto page = metrics.page({});
    CHECK(page.find("compose_service=\"removed\"") == page.npos);
    const auto count = [&](std::string_view of, std::string_view value) {
        return page.find("keepwell_probe_attempts_total{compose_project=\"default\",compose_service=\"" +
                         std::string{of} + "\",container=\"" + std::string{of} +
                         "\",probe=\"port\",kind=\"tcp\",outcome=\"ok\"} " + std::string{value} + "\n") !=
               page.npos;
    };
    CHECK(count("kept", "1"));
    CHECK(count("added", "0"));
}

TEST_CASE("metrics: an outage is timed from its first failure over the verdict to health")
{
    Metrics metrics;
    StackSpec spec;
    spec.services = {service("db")};
    const auto at = [](int seconds) { return Clock::time_point{1000s} + std::chrono::seconds{seconds}; };
    Monitor monitor{Stack{spec}, {&metrics}, at(0), 1};
    metrics.attach(monitor);
    const auto attempt = [&](Outcome outcome, int second) {
        monitor.observe(0,
                        result(outcome, outcome == Outcome::ok ? Reason::none : Reason::timeout, at(second)),
                        at(second + 1));
    };
    const auto has = [&](const std::string& line) {
        const auto labels = std::string{R"({compose_project="default",compose_service="db"} )"};
        const auto name = line.substr(0, line.find(' '));
        return metrics.page({}).find(name + labels + line.substr(name.size() + 1) + "\n") !=
               std::string::npos;
    };
    attempt(Outcome::ok, 10);
    attempt(Outcome::no_response, 20);  // passes by itself: no outage
    attempt(Outcome::ok, 30);
    CHECK(has("keepwell_outage_detection_seconds_count 0"));

    attempt(Outcome::no_response, 40);
    attempt(Outcome::not_attempted, 50);
    attempt(Outcome::no_response, 60);
    attempt(Outcome::no_response, 70);
    CHECK(has("keepwell_outage_detection_seconds_count 1"));
    CHECK(has("keepwell_outage_detection_seconds_sum 31"));
    CHECK(has("keepwell_outage_seconds_count 0"));

    SECTION("it ends when the service is healthy, also over a restart and a reload")
    {
        monitor.instance_started(0, at(80));
        Monitor after{Stack{spec}, {&metrics}, at(85), 1};
        after.adopt(monitor, at(85));
        metrics.attach(after);
        after.observe(0, result(Outcome::ok, Reason::none, at(90)), at(91));
        CHECK(has("keepwell_outage_detection_seconds_count 1"));
        CHECK(has("keepwell_outage_seconds_count 1"));
        CHECK(has("keepwell_outage_seconds_sum 20"));
    }
    SECTION("what ends in maintenance is not one that was healed")
    {
        monitor.maintain(0, true, "new disk", at(80));
        attempt(Outcome::ok, 90);
        monitor.maintain(0, false, "", at(100));
        CHECK(has("keepwell_outage_seconds_count 0"));
    }
}

TEST_CASE("metrics: a large page comes in slices that add up to the whole")
{
    Metrics metrics;
    StackSpec spec;
    for (int i = 0; i < 500; ++i)
        spec.services.push_back(service("s" + std::to_string(i)));
    Monitor monitor{Stack{spec}, {&metrics}, Clock::time_point{}, 1};
    metrics.attach(monitor);
    std::string sliced;
    Metrics::Cursor cursor;
    int slices = 1;
    std::size_t largest = 0;
    for (;; ++slices) {
        const auto before = sliced.size();
        const bool more = metrics.write(sliced, cursor, {});
        largest = std::max(largest, sliced.size() - before);
        if (!more)
            break;
    }
    CHECK(slices > 5);
    CHECK(largest < 200'000);
    const auto whole = metrics.page({});
    const auto stable = [](const std::string& page) {
        return page.substr(0, page.find("# HELP keepwell_instance_state_changed"));
    };
    CHECK(stable(sliced) == stable(whole));
    CHECK(std::ranges::count(sliced, '\n') == std::ranges::count(whole, '\n'));
}
