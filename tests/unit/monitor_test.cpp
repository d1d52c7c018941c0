#include "tests/catch.hpp"

#include "tests/unit/life.hpp"

using namespace keepwell;

namespace {

// Two services, db and web; web depends on db.
Life pair_of_services() { return Life{{a_service("db"), a_service("web", {on("db")})}}; }

}  // namespace

TEST_CASE("what the street delivers in mode signal")
{
    auto [script, expected] = GENERATE(table<std::string, std::string>({
        {"db+ web+", "db:healthy web:healthy"},
        {"web+ db- db-", "web:healthy db:unhealthy db!"},
        {"db+ web- web-", "db:healthy web:unhealthy web!"},
        // web only suffers: db is asked for, web is not
        {"db+ web+ db- web- db- web-", "db:healthy web:healthy db:unhealthy db! web:unhealthy"},
        // db is back: web is judged afresh; still down, it is web's turn
        {"db+ web+ db- web- db- web- 5s db+ web- 10s web-",
         "db:healthy web:healthy db:unhealthy db! web:unhealthy db:healthy web:starting db~ web:unhealthy "
         "web!"},
        // db is back, and web recovers by itself
        {"db+ web+ db- web- db- web- 5s db+ web- 10s web+",
         "db:healthy web:healthy db:unhealthy db! web:unhealthy db:healthy web:starting db~ web:healthy"},
        // the signal stands until health, and is raised again after the backoff
        {"web+ db- db- 10s db- 19s db- 1s", "web:healthy db:unhealthy db! db!2"},
        {"web+ db- db- 10s db+", "web:healthy db:unhealthy db! db:healthy db~"},
        // our own faults say nothing
        {"web+ db+ db? db? db+", "web:healthy db:healthy db:unknown db:healthy"},
        {"web+ db+ db? db- db-", "web:healthy db:healthy db:unhealthy db!"},
    }));
    CAPTURE(script);
    CHECK(pair_of_services().play(script) == expected);
}

TEST_CASE("in mode act the command is asked for, and a report of success begins a new life")
{
    auto [script, expected] = GENERATE(table<std::string, std::string>({
        {"db- db-", "db:unhealthy db! db* act(db)"},
        {"db- db- 2s db/ok", "db:unhealthy db! db* act(db) db=ok db:starting"},
        {"db- db- 2s db/ok 10s db+", "db:unhealthy db! db* act(db) db=ok db:starting db:healthy db~"},
        // an attempt that began before the restart says nothing about it
        {"db- db- 2s db/ok 0s db-@1s db-@1s 10s db+",
         "db:unhealthy db! db* act(db) db=ok db:starting db:healthy db~"},
        {"db- db- 2s db/ok 10s db- 10s db- 10s",
         "db:unhealthy db! db* act(db) db=ok db:starting db:unhealthy db!2 db* act(db)"},
        // a failed action keeps the state; the pause counts from its end
        {"db- db- 5s db/failed 29s db- 1s", "db:unhealthy db! db* act(db) db=failed db!2 db* act(db)"},
        // never a second one while the first is under way, however long the target fails
        {"db- db- 10s db- 10s db- 10s db-", "db:unhealthy db! db* act(db)"},
        // what only a person can mend is not tried again, until it is well
        {"db- db- 5s db/needs_recreate 2h db- 10s db+",
         "db:unhealthy db! db* act(db) db=needs_recreate db~ db:healthy"},
        // one that never reports back counts as timed out after its own 20 s and a margin
        {"db- db- 35s", "db:unhealthy db! db* act(db) db=timed_out"},
        // and when it reports after all, it is believed
        {"db- db- 36s db/ok", "db:unhealthy db! db* act(db) db=timed_out db:starting"},
    }));
    CAPTURE(script);
    Life life{{acting(a_service("db"))}};
    CHECK(life.play("0s " + script) == expected);
}

TEST_CASE("a service in mode act without a command is asked for by signal only")
{
    auto service = a_service("db");
    service.restart.mode = Mode::act;
    CHECK(Life{{service}}.play("db- db-") == "db:unhealthy db!");
}

TEST_CASE("mode observe asks for nothing, and says so")
{
    auto service = a_service("db");
    service.restart.mode = Mode::observe;
    Life life{{service}};
    CHECK(life.play("db- db- 1h db-") == "db:unhealthy");
    CHECK(life.hold("db") == Hold::observing);
}

TEST_CASE("readiness makes unhealthy, but only liveness asks for a restart")
{
    auto service = a_service("db");
    service.instances[0].probes.push_back(a_probe("ready", Role::readiness));
    Life life{{service}};
    CHECK(life.play("db+ db.ready+") == "db:healthy");
    CHECK(life.play("db.ready- db.ready- 1h") == "db:unhealthy");
    CHECK(life.hold("db") == Hold::healthy);
    CHECK(life.view("db").alive);
    CHECK(life.play("db.ready+") == "db:healthy");
    CHECK(life.play("db- db-") == "db:unhealthy db!");
    CHECK(life.play("db+") == "db:healthy db~");
}

TEST_CASE("a startup probe holds the others back until it has passed, or has failed for good")
{
    auto service = a_service("db");
    service.instances[0].probes.push_back(a_probe("startup", Role::startup));
    Life life{{service}};
    CHECK_FALSE(life.monitor.wanted(0));
    CHECK(life.monitor.wanted(1));
    CHECK(life.play("db- db- db-").empty());  // not wanted, so not counted
    CHECK(life.play("db.startup+ db+") == "db:healthy");
    CHECK(life.monitor.wanted(0));
    CHECK_FALSE(life.monitor.wanted(1));  // once is enough
    CHECK(life.play("start:db") == "db:starting");
    CHECK_FALSE(life.monitor.wanted(0));
    CHECK(life.play("10s db.startup- db.startup-") == "db:unhealthy");
    CHECK(life.monitor.wanted(0));
    CHECK(life.play("db- db-") == "db!");
    CHECK(life.play("db.startup+ db+") == "db:healthy db~");
}

TEST_CASE("what an instance's probes say together")
{
    auto service = a_service("db");
    service.instances[0].probes.push_back(a_probe("ready", Role::readiness));
    auto [script, expected] = GENERATE(table<std::string, State>({
        {"", State::starting},
        {"db+", State::starting},
        {"db+ db.ready+", State::healthy},
        {"db+ db.ready-", State::starting},
        {"db+ db.ready- db.ready-", State::unhealthy},
        {"db- db-", State::unhealthy},
        {"db+ db.ready+ db.ready? db.ready?", State::unknown},
        {"db+ db.ready+ db.ready?", State::healthy},
        {"db? db? db.ready- db.ready-", State::unhealthy},  // what is seen to be bad stays bad
        {"db+ db.ready- db.ready- db.ready? db.ready?", State::unknown},
        {"db+ db.ready+ maintain:db", State::maintenance},
        {"db- db- maintain:db", State::maintenance},
        {"db+ db.ready+ pause:db", State::paused},
        {"pause:db maintain:db", State::maintenance},
        {"db+ db.ready+ freeze:60s", State::unknown},
        {"db+ db.ready+ freeze:60s db+", State::unknown},
        {"db+ db.ready+ freeze:60s db+ db.ready+", State::healthy},
        {"db+ db.ready+ freeze:60s db.ready- db+@1s", State::unknown},
    }));
    CAPTURE(script);
    Life life{{service}};
    life.play(script);
    CHECK(life.view("db").state == expected);
    CHECK(life.service("db").state == expected);
}

TEST_CASE("an instance that only gates look at, or nothing, is unknown")
{
    auto service = with_gate(a_service("db"));
    service.instances[0].probes.erase(service.instances[0].probes.begin());
    Life life{{service, a_service("web")}};
    CHECK(life.view("db").state == State::unknown);
    CHECK(life.service("db").state == State::unknown);
    life.play("web+");
    CHECK(life.monitor.stack_state() == State::healthy);  // only what is probed counts
}

TEST_CASE("a service's state from its instances")
{
    auto [min_healthy, script, expected] = GENERATE(table<int, std::string, State>({
        {1, "", State::starting},
        {1, "api-1+", State::healthy},
        {1, "api-1- api-1-", State::unhealthy},
        {1, "api-1- api-1- api-2+", State::healthy},
        {2, "api-1- api-1- api-2+", State::unhealthy},
        {2, "api-1+ api-2+", State::healthy},
        {9, "api-1+ api-2+", State::starting},
        {9, "api-1+ api-2+ api-3+", State::healthy},  // capped at the number of instances
        {3, "api-1+ api-2+ api-3+ pause:api-3", State::unknown},
        {1, "maintain:api", State::maintenance},
        {1, "pause:api-1 pause:api-2 pause:api-3", State::paused},
        {1, "pause:api-1 pause:api-2", State::starting},
    }));
    CAPTURE(min_healthy, script);
    auto service = a_service("api", {}, 3);
    service.min_healthy = min_healthy;
    Life life{{service}};
    life.play(script);
    CHECK(life.service("api").state == expected);
}

TEST_CASE("the stack is healthy when every probed service is, or is in maintenance")
{
    auto life = pair_of_services();
    CHECK(life.monitor.stack_state() == State::starting);
    life.play("db+ web+");
    CHECK(life.monitor.stack_state() == State::healthy);
    life.play("maintain:web web- web-");
    CHECK(life.monitor.stack_state() == State::healthy);
    life.play("db- db-");
    CHECK(life.monitor.stack_state() == State::unhealthy);
}

TEST_CASE("each hold, seen from outside, with its reason in words")
{
    auto patient = a_service("web", {on("db")});
    patient.restart.pending_for = 1min;
    auto [script, expected, detail] = GENERATE(table<std::string, Hold, std::string>({
        {"db+ web+", Hold::healthy, ""},
        {"db+ web- web-", Hold::pending, "until it has been unhealthy for 1m"},
        {"db+ web- web- 61s", Hold::cooling_down, "30s from signal 1 of 3 within 1h"},
        {"db+ web- web- 61s maintain:web", Hold::maintenance, "by hand"},
        {"db+ web- web- 61s pause:web", Hold::paused, ""},
        {"db+ web- web- freeze:60s", Hold::self_doubt, "keepwell stood still for 1m; not attempted since"},
        {"db+ web- web- web? web?", Hold::self_doubt, "its probes could not be attempted"},
        {"db+ db- web- db- web-", Hold::need_unhealthy, "db is unhealthy"},
        {"db+ web- web- db-", Hold::need_unhealthy, "db is failing"},
        {"db+ 1s web- web-", Hold::need_unhealthy, "db has not been seen well since"},
        {"db+ web- web- maintain:db", Hold::need_unhealthy, "db is maintenance"},
    }));
    CAPTURE(script);
    Life life{{a_service("db"), patient, a_service("other")}};
    life.play("other+ " + script);
    CHECK(name_of(life.hold("web")) == name_of(expected));
    CHECK(life.view("web").hold_detail == detail);
}

TEST_CASE("every change of a hold is told once")
{
    auto patient = a_service("web");
    patient.restart.pending_for = 30s;
    Life life{{patient, a_service("other")}};
    life.tape.holds = true;
    life.tape.states = false;
    CHECK(life.play("other+ web+ web- web- 10s web- 20s web-") == "web>pending web! web>cooling_down");
    CHECK(life.play("1s web- 5s").empty());
    CHECK(life.play("web+") == "web~ web>healthy");
}

TEST_CASE("backoff doubles, the budget ends in quarantine, and quarantine ends by health or by hand")
{
    Life life{{a_service("db"), a_service("web")}};
    life.tape.holds = true;
    life.tape.states = false;
    CHECK(life.play("web+ db- db-") == "db! db>cooling_down");
    CHECK(life.play("29s db- 1s") == "db!2");
    CHECK(life.play("59s db- 1s") == "db!3");
    CHECK(life.play("119s db-").empty());  // the last one gets its chance, too
    CHECK(life.play("1s") == "db~ db>quarantined");
    CHECK(life.view("db").hold_detail == "3 signals within 1h did not help");
    CHECK(life.play("2h db-").empty());
    SECTION("health ends it at once, but the budget stays spent until stable_after")
    {
        CHECK(life.play("db+") == "db>healthy");
        CHECK_FALSE(life.view("db").record.quarantined);
        CHECK(life.play("1s web+ db- db-") == "db! db>cooling_down");  // the window has passed meanwhile
        CHECK(life.view("db").record.in_a_row == 4);
        CHECK(life.play("db+ 10m") == "db~ db>healthy");
        CHECK(life.view("db").record == RestartRecord{});
    }
    SECTION("by hand")
    {
        CHECK(life.play("resume:db") == "db! db>cooling_down");
        CHECK(life.view("db").record.in_a_row == 1);
    }
}

TEST_CASE("health within the window does not refill the budget")
{
    Life life{{a_service("db"), a_service("web")}};
    life.tape.states = false;
    CHECK(life.play("web+ db- db- 20s db+ 1m db- db- 20s db+ 1m db- db- 20s db+ 2m db- db-") ==
          "db! db~ db! db~ db! db~");
    CHECK(life.hold("db") == Hold::quarantined);
}

TEST_CASE("what nothing came of is tried again with growing pauses, and spends no budget")
{
    Life life{{acting(a_service("db")), a_service("web")}};
    life.tape.states = false;
    life.play("web+ db- db-");
    for (const std::string pause : {"30s", "1m", "2m", "2m", "2m"}) {
        REQUIRE(life.view("db").in_flight);
        CHECK(life.play("db/not_started").find("quarantined") == std::string::npos);
        CHECK(life.view("db").record.recent.empty());
        CHECK(life.hold("db") == Hold::cooling_down);
        life.play(pause);
    }
    CHECK(life.view("db").record.in_a_row == 6);
    life.play("db/failed 2m db/failed 2m db/failed 2m");
    CHECK(life.hold("db") == Hold::quarantined);
}

TEST_CASE("gates are asked right before a restart, and forbid it")
{
    auto [script, expected] = GENERATE(table<std::string, std::string>({
        {"web/pass", "web! web* act(web)"},
        {"web/deny", ""},
        {"web/deny 9s", ""},
        {"web/deny 10s", "gates(web)"},
        {"web/deny 10s web/pass", "gates(web) web! web* act(web)"},
        // an answer that comes when the restart is not wanted any more is not kept
        {"web+ web/pass 1s web- db+ web-", "gates(web)"},
        {"maintain:web web/pass", ""},
        {"maintain:web web/pass work:web web- db+ web-", "gates(web)"},
        // no answer at all: 1 s of timeout and a margin, then it counts as a no, and is asked again
        {"15s", ""},
        {"16s", ""},
        {"16s web/pass", ""},
        {"26s", "gates(web)"},
        {"db- db- web/pass", "db!"},  // the root failed meanwhile
    }));
    CAPTURE(script);
    Life life{{a_service("db"), with_gate(acting(a_service("web", {on("db")})))}};
    life.tape.states = false;
    REQUIRE(life.play("db+ web- web-") == "gates(web)");
    CHECK(life.hold("web") == Hold::gate_pending);
    CHECK(life.play(script) == expected);
}

TEST_CASE("a gate's no is shown with what the gate said")
{
    Life life{{with_gate(acting(a_service("web")))}};
    life.play("web- web- web/deny");
    CHECK(life.hold("web") == Hold::gate_failed);
    CHECK(life.view("web").hold_detail == "bad config");
    CHECK_FALSE(life.view("web").in_flight);
    CHECK(life.view("web").record == RestartRecord{});
    life.play("web+");
    CHECK(life.view("web").gate == Gate::none);
}

TEST_CASE("gates forbid a signal as well as an action")
{
    Life life{{with_gate(a_service("web"))}};
    CHECK(life.play("web- web-") == "web:unhealthy gates(web)");
    CHECK(life.play("web/deny 5s web/pass").empty());
    CHECK(life.play("5s web/pass") == "gates(web) web!");
}

TEST_CASE("maintenance: watched, but neither asked for nor restarted; afterwards judged afresh")
{
    Life life{{a_service("db"), a_service("web")}};
    REQUIRE(life.play("web+ db- db-") == "web:healthy db:unhealthy db!");
    CHECK(life.play("maintain:db") == "db:maintenance db~");
    CHECK(life.service("db").maintenance_note == "by hand");
    CHECK(life.play("1h db- db- db-").empty());
    CHECK(life.monitor.wanted(0));
    CHECK(life.play("work:db") == "db:starting");
    CHECK(life.play("5s db- web+ db-") == "db:unhealthy db!");
    CHECK(life.play("db+") == "db:healthy db~");
    CHECK(life.play("maintain:db maintain:db 1s work:db work:db") == "db:maintenance db:healthy");
}

TEST_CASE("what is paused is not watched, and what was seen before says nothing afterwards")
{
    Life life{{a_service("db"), a_service("web")}};
    CHECK(life.play("web+ db+ db- pause:db") == "web:healthy db:healthy db:paused");
    CHECK_FALSE(life.monitor.wanted(0));
    CHECK(life.play("db- db-").empty());
    CHECK(life.play("5s unpause:db") == "db:starting");
    CHECK(life.play("1s db-@3s db-@3s").empty());
    CHECK(life.play("2s db- web+ db-") == "db:unhealthy db!");
}

TEST_CASE("a start from outside begins a new life and answers the signal")
{
    Life life{{a_service("db"), a_service("web")}};
    REQUIRE(life.play("web+ db- db-") == "web:healthy db:unhealthy db!");
    CHECK(life.play("5s start:db") == "db:starting");
    CHECK(life.view("db").started_at == life.now);
    CHECK(life.play("db-@1s db-@1s").empty());
    CHECK(life.play("10s db+") == "db:healthy db~");
}

TEST_CASE("time that goes backwards counts as standing still")
{
    Life life{{acting(a_service("db")), a_service("web")}};
    life.play("web+ db- db-");
    life.now -= 1h;
    CHECK(life.play("db- 59m db/ok") == "db=ok db:starting");
    CHECK(life.view("db").started_at == Clock::time_point{} + 1h);
}

TEST_CASE("the action is told whom and why")
{
    struct Listener : Sink {
        ActionContext context;
        void action_started(InstanceId, const ActionContext& told, Clock::time_point) override
        {
            context = told;
        }
    } listener;
    StackSpec spec{.project = "shop", .services = {acting(a_service("db")), a_service("web")}};
    const auto start = Clock::time_point{} + 1h;
    Monitor monitor{Stack{spec}, {&listener}, start, 1};
    for (int i = 0; i < 2; ++i) {
        monitor.observe(0,
                        {.outcome = Outcome::no_response,
                         .reason = Reason::connection_refused,
                         .detail = "port 1 is closed",
                         .started = start},
                        start);
        monitor.observe(1, {.outcome = Outcome::ok, .started = start}, start);
    }
    const auto requests = monitor.advance(start);
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].context.project == "shop");
    CHECK(requests[0].context.service == "db");
    CHECK(requests[0].context.instance == "db");
    CHECK(requests[0].context.address == "10.0.0.1");
    CHECK(requests[0].context.probe == "live");
    CHECK(requests[0].context.cause == "unhealthy");
    CHECK(requests[0].context.reason == Reason::connection_refused);
    CHECK(requests[0].context.detail == "port 1 is closed");
    CHECK(listener.context.detail == requests[0].context.detail);
}

TEST_CASE("a reload keeps everything of services that did not change")
{
    const std::vector<Service> services{acting(a_service("db")), a_service("web", {on("db")}),
                                        a_service("other")};
    Life before{services};
    before.play("other+ web+ db+ 1s db- other+ db- 1s web- web- maintain:other");
    REQUIRE(before.view("db").in_flight);
    REQUIRE(before.hold("web") == Hold::need_unhealthy);

    SECTION("the same stack: nothing is told, nothing is asked")
    {
        Life after{services};
        after.now = before.now;
        after.tape.holds = after.tape.services = after.tape.doubts = true;
        after.monitor.adopt(before.monitor, after.now);
        CHECK(after.play("0s").empty());
        CHECK(after.view("db").in_flight);
        CHECK(after.view("db").record == before.view("db").record);
        CHECK(after.view("db").signal == before.view("db").signal);
        CHECK(after.hold("web") == Hold::need_unhealthy);
        CHECK(after.service("web").root_cause == 0);
        CHECK(after.service("other").maintenance_note == "by hand");
        CHECK(after.play("1s db/ok") == "db=ok db:starting (db):starting db>healthy");
    }
    SECTION("services come, go and change their places")
    {
        auto changed = acting(a_service("db"));
        changed.restart.max = 7;
        Life after{{a_service("new"), a_service("web"), changed}};
        after.now = before.now;
        after.monitor.adopt(before.monitor, after.now);
        CHECK(after.view("new").state == State::starting);
        CHECK(after.view("db").record == before.view("db").record);
        CHECK(after.view("db").in_flight);
        CHECK(after.play("new+") == "new:healthy web!");  // nothing holds web back any more
    }
    SECTION("what was away for a moment is still in maintenance, and its restart still under way")
    {
        Life without{{a_service("web")}};
        without.now = before.now;
        without.monitor.adopt(before.monitor, without.now);
        Life after{services};
        after.now = before.now;
        after.monitor.adopt(without.monitor, after.now);
        CHECK(after.service("other").maintenance_note == "by hand");
        CHECK(after.view("db").record.recent == before.view("db").record.recent);
        CHECK(after.view("db").record.not_before > before.view("db").record.not_before);
        CHECK(without.monitor.departed().all().size() == 2);
        CHECK(after.monitor.departed().all().empty());
        CHECK(after.play("db- 10s web+ db- 10s db-").find("db!") == std::string::npos);
    }
    SECTION("a probe that changed is judged afresh")
    {
        auto changed = services;
        changed[0].instances[0].probes[0].timing.retries = 9;
        Life after{changed};
        after.now = before.now;
        after.monitor.adopt(before.monitor, after.now);
        CHECK(after.view("db").state == State::starting);
        CHECK(after.view("db").record == before.view("db").record);
    }
    SECTION("mode observe withdraws the signal")
    {
        auto changed = services;
        changed[0].restart.mode = Mode::observe;
        Life after{changed};
        after.now = before.now;
        after.monitor.adopt(before.monitor, after.now);
        CHECK(after.play("0s") == "db~");
    }
}
