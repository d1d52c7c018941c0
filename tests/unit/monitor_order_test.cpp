#include "tests/catch.hpp"

#include "tests/unit/life.hpp"

using namespace keepwell;

TEST_CASE("at most one instance of a service at a time")
{
    Life life{{acting(a_service("api", {}, 3)), a_service("db")}};
    life.tape.states = false;
    CHECK(life.play("db+ api-1- api-2- api-1- api-2-") == "api-1! api-1* act(api-1)");
    CHECK(life.hold("api-2") == Hold::sibling_in_flight);
    SECTION("the next one goes when the first is up again")
    {
        CHECK(life.play("5s api-1/ok 9s") == "api-1=ok");
        CHECK(life.play("1s api-1+") == "api-1~ api-2! api-2* act(api-2)");
    }
    SECTION("or when its restart did not help")
    {
        CHECK(life.play("api-1/ok 10s api-1- 10s api-1-") == "api-1=ok api-2! api-2* act(api-2)");
        CHECK(life.hold("api-1") == Hold::cooling_down);
    }
    SECTION("or when it never came to a verdict")
    {
        CHECK(life.play("api-1/ok 10s api-1? 10s api-1? 2s") == "api-1=ok api-2! api-2* act(api-2)");
    }
    SECTION("or when its restart failed")
    {
        CHECK(life.play("api-1/failed") == "api-1=failed api-2! api-2* act(api-2)");
    }
}

TEST_CASE("at most so many restarts at once in the stack")
{
    StackSpec spec{.max_restarts_at_once = 2};
    for (auto name : {"a", "b", "c", "d", "e", "f", "g"})
        spec.services.push_back(acting(a_service(name)));
    Life life{spec};
    life.tape.states = false;
    CHECK(life.play("d+ e+ f+ g+ a- b- c- a- b- c-") == "a! a* act(a) b! b* act(b)");
    CHECK(life.hold("c") == Hold::stack_limit);
    CHECK(life.view("c").hold_detail == "at most 2 at once");
    CHECK(life.play("b/ok 10s").find("c") == std::string::npos);
    CHECK(life.play("b+") == "b~ c! c* act(c)");
}

TEST_CASE("in a storm only roots are restarted")
{
    // db <- api <- web, and edges without a probe of health in between: web fails although api is fine.
    Life life{{a_service("db"), a_service("api", {on("db")}), a_service("web", {on("api")}),
               a_service("mail"), a_service("spool")}};
    life.tape.states = false;
    SECTION("a dependant whose direct dependency is fine")
    {
        CHECK(life.play("db+ api+ web+ mail+ spool+ db- mail- db- mail-") == "db! mail!");
        CHECK(life.play("api+ web- web-").empty());
        CHECK(life.hold("web") == Hold::storm);
        CHECK(life.view("web").hold_detail == "3 of 5 services are unhealthy; db comes first");
        CHECK(life.play("mail+") == "mail~ web!");  // calm again
    }
    SECTION("who waits for a root does not wait for one that is given up on")
    {
        CHECK(life.play("db+ api+ web+ mail+ spool+ db- mail- db- mail-") == "db! mail!");
        CHECK(life.play("api+ web- web- 209s") == "db!2 mail!2 db!3 mail!3");
        CHECK(life.hold("web") == Hold::storm);
        CHECK(life.play("2s") == "db~ mail~ web!");
        CHECK(life.hold("db") == Hold::quarantined);
    }
    SECTION("two are not a storm")
    {
        CHECK(life.play("db+ api+ web+ mail+ spool+ db- db- api+ web- web-") == "db! web!");
    }
}

TEST_CASE("a dependency that nobody looks at again once it has started holds nobody back")
{
    auto db = a_service("db");
    db.instances[0].probes = {a_probe("live", Role::startup)};
    Life life{{db, a_service("web", {on("db")}), a_service("mail")}};
    life.tape.states = false;
    CHECK(life.play("mail+ web- web-").empty());  // it has not started yet
    CHECK(life.play("1s db+ mail+ web- web-") == "web!");
    CHECK(life.play("1s mail+ web+ 5m mail+ web- mail+ web-") == "web~ web!");
}

TEST_CASE("a dependency that is failing, or that was not looked at since, may be the root")
{
    auto [script, expected] = GENERATE(table<std::string, std::string>({
        {"1s web- web-", ""},                // db may have died meanwhile
        {"1s web- web- 1s db+", "web!"},     // it has not
        {"1s web- web- 1s db- db-", "db!"},  // it has
        {"1s web- db- web-", ""},            // one failure is enough to wait
        {"1s web- db- web- db+", "web!"},
        {"1s web- 1s db+ 1s web-", "web!"},  // seen well since the trouble began
        {"1s web- web- pause:db", ""},
        {"1s web- web- pause:db unpause:db db+", ""},
        {"1s web- web- pause:db unpause:db db+ 1s web- web-", "web!"},
    }));
    CAPTURE(script);
    Life life{{a_service("db"), a_service("web", {on("db")}), a_service("other")}};
    life.tape.states = false;
    CHECK(life.play("other+ db+ web+ " + script) == expected);
}

TEST_CASE("a dependency that nothing probes is looked through; a completed one never blocks")
{
    auto unprobed = a_service("proxy", {on("db")});
    unprobed.instances[0].probes.clear();
    Life through{{a_service("db"), unprobed, a_service("web", {on("proxy")}), a_service("other")}};
    through.play("other+ db+ web+ db- web- web-");
    CHECK(through.hold("web") == Hold::need_unhealthy);
    CHECK(through.view("web").hold_detail == "db is failing");

    Life completed{
        {a_service("db"), a_service("web", {on("db", false, Condition::completed)}), a_service("other")}};
    CHECK(completed.play("other+ db- db- web- web-") == "other:healthy db:unhealthy db! web:unhealthy web!");
}

TEST_CASE("trouble that began before the root's is no doing of the root")
{
    Life life{{a_service("db"), a_service("web", {on("db")}), a_service("other")}};
    life.tape.states = false;
    CHECK(life.play("other+ db+ web+ 1s web- 1s db+ 1s db- db- web-") == "db!");
    CHECK(life.play("5s db+") == "db~ web!");  // not excused: judged on what is known
}

TEST_CASE("a root that comes and goes excuses its dependant once, not for ever")
{
    Life life{{a_service("db"), a_service("web", {on("db")}), a_service("other")}};
    life.tape.states = false;
    // db goes down, web with it; db is back: web is excused.
    CHECK(life.play("other+ db+ web+ 1s db- web- db- web- 5s db+") == "db! db~");
    CHECK(life.view("web").state == State::starting);
    // db goes down again before web could recover: web has been failing all the time.
    CHECK(life.play("35s db- web- db- web- 5s db+") == "db! db~ web!");
}

TEST_CASE("dependants of a root that is back get their start period")
{
    auto slow = a_service("web", {on("db")});
    slow.instances[0].probes[0].timing.start_period = 30s;
    Life life{{a_service("db"), slow, a_service("other")}};
    life.tape.states = false;
    CHECK(life.play("other+ db+ web+ 1s db- web- db- web- 5s db+") == "db! db~");
    CHECK(life.play("10s web- 10s web- 9s web-").empty());
    CHECK(life.play("1s web- 10s web-") == "web!");
}

TEST_CASE("the root cause of an unhealthy service is the deepest dependency that is not healthy")
{
    Life life{{a_service("db"), a_service("api", {on("db")}), a_service("web", {on("api")})}};
    life.play("db+ api+ web+ db- db- api- api- web- web-");
    CHECK(life.service("web").root_cause == 0);
    CHECK(life.service("api").root_cause == 0);
    CHECK_FALSE(life.service("db").root_cause);
    life.play("db+");
    CHECK_FALSE(life.service("db").root_cause);
    life.play("web- web-");
    CHECK(life.service("web").root_cause == 1);
}

TEST_CASE("restart: true on an edge: dependants follow once the root is back, in order, one at a time")
{
    Life life{{acting(a_service("db")), acting(a_service("api", {on("db", true)}, 2)),
               acting(a_service("web", {on("api", true)})), a_service("mail", {on("db")})}};
    life.tape.states = false;
    REQUIRE(life.play("db+ api-1+ api-2+ web+ mail+ 1s db- mail+ db-") == "db! db* act(db)");
    SECTION("in mode act")
    {
        CHECK(life.play("1s db/ok 10s") == "db=ok");
        CHECK(life.play("db+") == "db~ api-1! api-1* act(api-1)");
        CHECK(life.view("api-1").signal->cause == "dependency db restarted");
        CHECK(life.hold("api-2") == Hold::sibling_in_flight);
        CHECK(life.play("api-1/ok 10s api-1+") == "api-1=ok api-1~ api-2! api-2* act(api-2)");
        // web waits until api is whole: it is asked for each of the two, but restarted after the first is
        // back
        CHECK(life.play("api-2/ok 10s api-2+").substr(0, 16) == "api-2=ok api-2~ ");
        CHECK_FALSE(life.view("mail").cascade);
    }
    SECTION("a root that fails again holds the cascade back")
    {
        CHECK(life.play("1s db/ok 10s db+ api-1/failed 10s mail+ db- mail+ db- 20s mail+")
                  .starts_with("db=ok db~ api-1!"));
        CHECK(life.view("api-1").cascade);
        CHECK(life.hold("api-1") == Hold::need_unhealthy);
    }
    SECTION("maintenance forgets what is owed")
    {
        life.play("maintain:api 1s db/ok 10s db+ work:api");
        CHECK_FALSE(life.view("api-1").cascade);
        CHECK(life.hold("api-1") == Hold::healthy);
    }
    SECTION("whoever was started after the root needs no restart")
    {
        CHECK(life.play("1s db/ok 1s start:api-1 start:api-2 10s api-1+ api-2+ db+") == "db=ok db~");
    }
}

TEST_CASE("a cascade in mode signal: the signal stands until the restart was seen, or had its time")
{
    Life life{{a_service("db"), a_service("vpn", {on("db", true)}), a_service("web", {on("vpn", true)})}};
    life.tape.states = false;
    REQUIRE(life.play("db+ vpn+ web+ 1s db- web+ db- 5s db+") == "db! db~ vpn!");
    CHECK(life.view("vpn").signal->cause == "dependency db restarted");
    SECTION("nothing is seen of it")
    {
        CHECK(life.play("10s vpn+ 11s vpn+").empty());
        CHECK(life.play("1s") == "vpn~ web!");
    }
    SECTION("it is seen restarting")
    {
        CHECK(life.play("2s vpn- web+ vpn- web+").empty());
        CHECK(life.play("3s vpn+") == "vpn~ web!");
    }
    SECTION("it is told so")
    {
        CHECK(life.play("2s start:vpn").empty());
        CHECK(life.play("3s vpn+") == "vpn~ web!");
    }
}

TEST_CASE("cascades respect the budget without quarantining what is healthy")
{
    Life life{{a_service("db"), a_service("vpn", {on("db", true)}), a_service("web")}};
    life.tape.states = false;
    life.monitor.restore(life.instance("vpn"), {.recent = {life.now, life.now, life.now}, .in_a_row = 3});
    REQUIRE(life.play("web+ db+ vpn- db- web+ db- 5s db+ vpn+ 1s vpn+") == "db! db~");
    CHECK(life.hold("vpn") == Hold::cooling_down);
    CHECK(life.view("vpn").hold_detail == "all 3 signals within 1h are used");
    CHECK_FALSE(life.view("vpn").record.quarantined);
}

TEST_CASE("a cascade's restart counts although the instance was well all along")
{
    Life life{{a_service("db"), a_service("vpn", {on("db", true)}), a_service("web")}};
    life.tape.states = false;
    REQUIRE(life.play("web+ db+ vpn+ 1h web+ vpn+ db- web+ db-") == "db!");
    CHECK(life.play("5s web+ vpn+ db+ 1s vpn+") == "db~ vpn!");
    CHECK(life.view("vpn").record.recent.size() == 1);
    CHECK(life.play("11m vpn+") == "vpn~");
    CHECK(life.view("vpn").record.recent.empty());
}
