#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "exporters/page/graph.hpp"
#include "exporters/page/page.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <functional>
#include <map>

using namespace keepwell;
using namespace keepwell::test;

namespace {

constexpr auto npos = std::string::npos;

// A monitor whose results are told by hand, under a page.
struct Board {
    asio::io_context loop{};
    History history{};
    Page page{loop, history};
    std::unique_ptr<Monitor> monitor{};
    Clock::time_point now = Clock::now();

    explicit Board(StackSpec spec) { show(std::move(spec)); }
    explicit Board(std::vector<Service> services)
        : Board{StackSpec{.project = "shop", .services = std::move(services)}}
    {
    }

    void show(StackSpec spec)
    {
        monitor =
            std::make_unique<Monitor>(Stack{std::move(spec)}, std::vector<Sink*>{&history, &page}, now, 1);
        history.attach(*monitor);
        page.attach(*monitor);
    }
    ServiceId id(std::string_view name) const { return *monitor->stack().find(name); }

    void tell(std::string_view name, Outcome outcome, const std::string& detail = {},
              const std::string& output = {})
    {
        const auto& row = monitor->stack().services()[id(name)];
        const auto reason = outcome == Outcome::ok ? Reason::none : Reason::connection_refused;
        auto attempt = result(outcome, reason, now, detail);
        attempt.output = output;
        monitor->observe(monitor->stack().instances()[row.first_instance].first_probe, attempt, now);
        monitor->self_checked(result(Outcome::ok, Reason::none, now), now);
        monitor->advance(now);
    }
    void fail(std::string_view name, const std::string& detail = {}, const std::string& output = {})
    {
        for (int i = 0; i < 3; ++i)
            tell(name, Outcome::no_response, detail, output);
    }
    std::string html(const std::string& refusal = {}) const
    {
        std::string out;
        Page::Cursor cursor;
        while (page.write(out, cursor, refusal)) {
        }
        return out;
    }
    std::string part(void (*write)(Markup&, const PageView&)) const
    {
        std::string out;
        Markup html{out};
        write(html, {*monitor, history, page.trails(), now, std::chrono::system_clock::now()});
        return out;
    }
    std::string row(std::string_view name) const
    {
        std::string out;
        Markup html{out};
        write_row(html, {*monitor, history, page.trails(), now, std::chrono::system_clock::now()}, id(name));
        return out;
    }
};

// db is down, and api with it; web and mail are well.
struct BrokenBoard : Board {
    BrokenBoard()
        : Board{{service("db"), service("api", {{.service = "db"}}), service("web", {{.service = "api"}}),
                 service("mail")}}
    {
        for (const auto* name : {"db", "api", "web", "mail"})
            tell(name, Outcome::ok);
        fail("db", "127.0.0.1:1: refused");
        fail("api");
    }
};

std::string mark_of(const std::string& html)
{
    const auto begin = html.find("data-mark=\"") + 11;
    return html.substr(begin, html.find('"', begin) - begin);
}

asio::awaitable<void> read_all(std::shared_ptr<EventStream> stream, std::string& read)
{
    for (auto text = co_await stream->next(); !text.empty(); text = co_await stream->next())
        read += text;
}

// What a follower is told within a second.
std::string followed(Board& board, std::string since, const std::function<void()>& meanwhile = [] {})
{
    auto stream = board.page.follow(since);
    std::string read;
    asio::co_spawn(board.loop, read_all(stream, read), asio::detached);
    board.loop.restart();
    board.loop.run_for(10ms);
    meanwhile();
    board.loop.run_for(400ms);
    stream->end();
    board.loop.run_for(10ms);
    return read;
}

}  // namespace

TEST_CASE("page: the root cause is named first, with those that suffer from it and the reason in words")
{
    BrokenBoard board;
    const auto summary = board.part(write_summary);
    CHECK(summary.find("2 of 4 services are unhealthy") != npos);
    CHECK(summary.find("root cause") != npos);
    CHECK(summary.find("Unhealthy because of it: <a href=\"#service-1\"><bdi>api</bdi></a>.") != npos);
    CHECK(summary.find("nothing listens there") != npos);
    CHECK(summary.find("127.0.0.1:1: refused") != npos);
    CHECK(summary.find("<bdi>web</bdi>") == npos);
    CHECK(summary.find("A restart is asked for; keepwell itself only signals.") != npos);

    CHECK(board.row("db").find("data-rank=\"0\"") != npos);
    CHECK(board.row("api").find("because of <a href=\"#service-0\"") != npos);
    CHECK(board.row("web").find("data-group=\"healthy\"") != npos);
    const auto html = board.html();
    CHECK(html.find("id=\"service-0\"") < html.find("id=\"service-1\""));
    CHECK(html.find("id=\"service-1\"") < html.find("id=\"service-2\""));
}

TEST_CASE("page: a stack in which all is well says so")
{
    Board board{{service("db"), service("web")}};
    board.tell("db", Outcome::ok);
    CHECK(board.part(write_summary).find("1 of 2 services cannot be told healthy yet") != npos);
    board.tell("web", Outcome::ok);
    CHECK(board.part(write_summary).find("All 2 services are healthy") != npos);
    board.monitor->maintain(board.id("web"), true, "new disk", board.now);
    CHECK(board.part(write_summary).find("All is well; 1 in maintenance or paused") != npos);
    CHECK(board.row("web").find("in maintenance: new disk") != npos);
    CHECK(board.row("web").find("class=\"resume\"") != npos);
    CHECK(board.row("web").find("class=\"maintain\"") == npos);
}

TEST_CASE("page: of several instances each is told, with its probes; what is folded says what is asked")
{
    auto replicated = service("api");
    replicated.instances = {
        {.name = "api-1", .probes = {tcp_probe("http")}},
        {.name = "api-2", .probes = {tcp_probe("http"), tcp_probe("config", Role::gate)}}};
    Board board{{replicated}};
    board.tell("api", Outcome::ok);
    const auto row = board.row("api");
    CHECK(row.find("<summary>2 × <bdi>http</bdi></summary>") != npos);
    CHECK(row.find("<bdi>api-2</bdi> starting") != npos);
    CHECK(row.find("<bdi>config</bdi> <span class=\"muted\">gate, every 10s") != npos);
}

TEST_CASE("page: what is done about it is told: asked for, under way, or held back")
{
    auto db = service("db");
    Board signals{{db, service("other")}};
    signals.tell("other", Outcome::ok);
    signals.fail("db");
    CHECK(signals.row("db").find("A restart is asked for; keepwell itself only signals.") != npos);

    db.restart.mode = Mode::act;
    db.restart.backoff = 1min;
    db.restart.command = CommandAction{.argv = {"true"}};
    Board acts{{db, service("other")}};
    acts.tell("other", Outcome::ok);
    acts.fail("db");
    CHECK(acts.row("db").find("It is being restarted.") != npos);
    acts.monitor->action_finished(InstanceId{0}, {.result = ActionResult::failed}, acts.now);
    acts.monitor->advance(acts.now);
    CHECK(acts.row("db").find("Not restarted: too soon after the last restart") != npos);

    db.restart.mode = Mode::observe;
    Board observes{{db, service("other")}};
    observes.tell("other", Outcome::ok);
    observes.fail("db");
    CHECK(observes.row("db").find("Not restarted: mode observe") != npos);
}

TEST_CASE("page: who is in quarantine can be resumed, and keepwell's own doubt is told")
{
    Board board{{service("db")}};
    board.fail("db");
    CHECK(board.row("db").find("class=\"resume\"") == npos);
    board.monitor->restore(InstanceId{0}, RestartRecord{.quarantined = true});
    CHECK(board.row("db").find("action=\"/api/v1/resume/db\"") != npos);
    CHECK(board.part(write_summary).find("doubts itself") == npos);
    board.now += 1min;
    board.monitor->frozen(1min, board.now);
    board.monitor->advance(board.now);
    CHECK(board.part(write_summary).find("keepwell doubts itself") != npos);
}

TEST_CASE("page: a service that nothing probes is told apart, and troubles nobody")
{
    Board board{{service("db"), service("cron", {}, {})}};
    board.tell("db", Outcome::ok);
    CHECK(board.part(write_summary).find("The one service is healthy") != npos);
    const auto row = board.row("cron");
    CHECK(row.find("data-group=\"unprobed\"") != npos);
    CHECK(row.find("nothing probes it") != npos);
    CHECK(row.find("class=\"strip\"") == npos);
    const auto counts = counts_of(*board.monitor);
    CHECK((counts.all == 2 && counts.healthy == 1 && counts.unprobed == 1 && counts.trouble == 0));
}

TEST_CASE("page: nothing that comes from outside is taken for markup")
{
    const std::string evil = "</td></tr><script>alert(1)</script><img src=x onerror='alert(2)'>\" data-x=\"";
    Board board{StackSpec{.project = evil, .services = {service(evil), service("b", {{.service = evil}})}}};
    board.tell(evil, Outcome::ok);
    board.fail(evil, evil, evil);
    board.fail("b");
    board.monitor->maintain(board.id("b"), true, evil, board.now);
    const auto html = board.html(evil);
    CHECK(html.find("<script>") == npos);
    CHECK(html.find("<img") == npos);
    CHECK(html.find("\" data-x=\"\"") == npos);
    CHECK(html.find("&lt;script&gt;alert(1)&lt;/script&gt;") != npos);
    CHECK(html.find("<pre tabindex=\"0\">&lt;/td&gt;") != npos);
    CHECK(html.find("action=\"/api/v1/maintenance/%3C%2Ftd%3E") != npos);
    CHECK(followed(board, mark_of(html), [&] {
              board.tell(evil, Outcome::rejected, evil);
          }).find("<script") == npos);
}

TEST_CASE("page: the document is whole, loads nothing from elsewhere and has nothing inline")
{
    const auto html = BrokenBoard{}.html();
    CHECK(html.starts_with("<!doctype html>"));
    CHECK(html.ends_with("</html>\n"));
    CHECK(html.find("{{") == npos);
    CHECK(html.find(" style=") == npos);
    CHECK(html.find("<style") == npos);
    CHECK(html.find("<script src=\"/page/page.js?v=") != npos);
    CHECK(html.find("http://") == npos);
    CHECK(html.find("https://") == npos);
    CHECK(html.find("class=\"may-act\"") != npos);
    CHECK(BrokenBoard{}.html("not you").find("Read only: not you") != npos);
}

TEST_CASE("page: it is written in slices, and begun again when the configuration changes in between")
{
    std::vector<Service> services;
    services.reserve(250);
    for (int i = 0; i < 250; ++i)
        services.push_back(service("s" + std::to_string(i)));
    Board board{services};
    std::string out;
    Page::Cursor cursor;
    int slices = 0;
    while (out.find("id=\"service-150\"") == npos && board.page.write(out, cursor, {}))
        ++slices;
    CHECK(slices > 2);
    CHECK(out.find("id=\"service-249\"") == npos);
    board.show({.services = {service("other")}});
    while (board.page.write(out, cursor, {})) {
    }
    CHECK(out.starts_with("<!doctype html>"));
    CHECK(out.rfind("<!doctype") == 0);
    CHECK(out.ends_with("</html>\n"));
    CHECK(out.find("s249") == npos);
    CHECK(out.find("<bdi>other</bdi>") != npos);
}

TEST_CASE("page: whoever follows is told what has changed since, and only that")
{
    BrokenBoard board;
    const auto mark = mark_of(board.html());
    const auto told = followed(board, mark, [&] { board.tell("db", Outcome::ok); });
    CHECK(told.find("id=\"service-0\" data-rank=\"6\"") != npos);
    CHECK(told.find("id=\"service-1\"") != npos);  // whose root cause is gone
    CHECK(told.find("id=\"service-3\"") == npos);
    CHECK(told.find("event: happened") != npos);
    CHECK(told.find("unhealthy → healthy") != npos);
    CHECK(told.find("<div id=\"graph\">") != npos);
}

TEST_CASE("page: whoever comes back hears what happened meanwhile")
{
    BrokenBoard board;
    const auto mark = mark_of(board.html());
    board.fail("mail");
    const auto told = followed(board, mark);
    CHECK(told.find("id=\"service-3\" data-rank=\"0\"") != npos);
    CHECK(told.find("healthy → unhealthy") != npos);
    CHECK(told.find("event: stale") == npos);
}

TEST_CASE("page: whoever comes with another configuration, or from before a restart, must load it anew")
{
    BrokenBoard board;
    const auto mark = mark_of(board.html());
    BrokenBoard other;
    CHECK(followed(other, mark).find("event: stale") != npos);
    board.show({.services = {service("db")}});
    CHECK(followed(board, mark).find("event: stale") != npos);
    for (const auto* nonsense : {"x", "1.2.3.4", "..", "99999999999999999999999.1.1.1"})
        CHECK(followed(board, nonsense).find("event: stale") != npos);
}

TEST_CASE("page: a reload tells all who follow")
{
    BrokenBoard board;
    CHECK(followed(board, mark_of(board.html()), [&] {
              board.show({.services = {service("db")}});
          }).find("event: stale") != npos);
}

TEST_CASE("graph: every edge goes to the right, and those who need nobody stand last")
{
    const Stack stack{{.services = {service("db"), service("api", {{.service = "db"}}),
                                    service("web", {{.service = "api"}, {.service = "db"}}), service("alone"),
                                    service("mail", {{.service = "db"}})}}};
    const auto places = graph_places(stack, std::vector<bool>(5, true));
    std::map<ServiceId, std::size_t> column;
    for (const auto& place : places)
        column[place.service] = place.column;
    CHECK(column == std::map<ServiceId, std::size_t>{{0, 2}, {1, 1}, {2, 0}, {4, 1}});
    CHECK(graph_places(stack, {true, true, false, true, false}).size() == 2);
}

TEST_CASE("graph: the root cause stands out, and the way to it")
{
    const auto graph = BrokenBoard{}.part(write_graph);
    CHECK(graph.find("class=\"node unhealthy root\" aria-label=\"db: unhealthy, root cause\"") != npos);
    CHECK(graph.find("class=\"node unhealthy\" aria-label=\"api: unhealthy\"") != npos);
    CHECK(graph.find("class=\"edge blamed\"") != npos);
    CHECK(graph.find(">mail<") == npos);
}

TEST_CASE("graph: many alike are drawn as one, and of thousands only what matters")
{
    std::vector<Service> services{service("db")};
    for (int i = 0; i < 9; ++i)
        services.push_back(service("w" + std::to_string(i), {{.service = "db"}}));
    CHECK(Board{services}.part(write_graph).find(">w0 +8<") != npos);
    for (int i = 9; i < 300; ++i)
        services.push_back(service("w" + std::to_string(i), {{.service = "db"}}));
    Board board{services};
    for (const auto& each : services)
        board.tell(each.name, Outcome::ok);
    CHECK(board.part(write_graph).find("No service shown here") != npos);
    board.fail("w7");
    const auto graph = board.part(write_graph);
    CHECK(graph.find(">w7<") != npos);
    CHECK(graph.find(">db<") != npos);
    CHECK(graph.find(">w8<") == npos);
}

TEST_CASE("trails: each minute of the last hour keeps its worst state and its attempts")
{
    Board board{{service("db")}};
    const auto begin = board.now;
    for (int minute = 0; minute < 90; ++minute) {
        board.now = begin + minute * 1min;
        if (minute == 80 || minute == 81)
            board.fail("db");
        if (minute != 85)  // keepwell was busy
            board.tell("db", Outcome::ok);
    }
    const auto hour = board.page.trails().of(0, board.now);
    CHECK(hour[0].known);
    CHECK(hour[59 - 9].worst == State::unhealthy);
    CHECK(hour[59 - 9].attempts == 4);
    CHECK(hour[59 - 9].failed == 3);
    CHECK(hour[59 - 7].worst == State::healthy);
    CHECK(hour[59 - 4].attempts == 0);
    CHECK(hour[59 - 4].worst == State::healthy);
    const auto row = board.row("db");
    CHECK(row.find("<title>last 60 min: healthy 58 min, unhealthy 2 min</title>") != npos);
    CHECK(row.find("<path class=\"unhealthy\" d=\"M150 8h5\"/>") != npos);
}

TEST_CASE("trails: a reload keeps them, by name; what is new was not watched before")
{
    Board board{{service("db")}};
    board.tell("db", Outcome::ok);
    board.show({.services = {service("new"), service("db")}});
    const auto attempts = [&](ServiceId id) {
        int sum = 0;
        for (const auto& minute : board.page.trails().of(id, board.now))
            sum += minute.attempts;
        return sum;
    };
    CHECK(attempts(0) == 0);
    CHECK(attempts(1) == 1);
    CHECK_FALSE(board.page.trails().of(0, board.now)[Trails::minutes / 2].known);
}
