#include "tests/catch.hpp"

#include "tests/unit/life.hpp"

using namespace keepwell;

TEST_CASE("one attempt after a freeze ends both doubts: not looked at, and not able to look")
{
    Life life{{a_service("db"), a_service("web")}};
    life.play("web+ db- db- db? db? freeze:60s 1s web+");
    CHECK(life.hold("db") == Hold::self_doubt);
    life.play("db-");
    CHECK(life.hold("db") != Hold::self_doubt);
}

TEST_CASE("keepwell's own freeze: nothing is acted on before everything was looked at again")
{
    Life life{{a_service("db"), a_service("web")}};
    life.tape.doubts = true;
    REQUIRE(life.play("db+ web+ web-") == "db:healthy web:healthy");
    CHECK(life.play("freeze:60s") == "db:unknown web:unknown doubt");
    CHECK(life.monitor.in_doubt());
    CHECK(life.monitor.doubt_reason() == "keepwell stood still for 1m");
    // What was under way meanwhile says nothing, however it ended and whenever it began.
    CHECK(life.play("web-@1s web-@50s web-@61s db+@1s").empty());
    CHECK(life.view("web").state == State::unknown);
    CHECK(life.play("5s web-") == "web:unhealthy web!");
    CHECK(life.play("db+") == "db:healthy sure");
}

TEST_CASE("an attempt that took much longer than its timeout met a freeze of ours")
{
    Life life{{a_service("db")}};
    CHECK(life.play("db+ 1m db-@30s db-@30s db-@30s") == "db:healthy");
    CHECK(life.play("db-@4s db-@4s 5s db-@4s") == "db:unhealthy db!");
}

TEST_CASE("a freeze does not time out what was under way")
{
    Life life{{acting(a_service("db")), a_service("web")}};
    life.play("web+ db- db-");
    REQUIRE(life.view("db").in_flight);
    life.play("10s freeze:10m");
    CHECK(life.view("db").in_flight);
    CHECK(life.play("db/ok") == "db=ok");
}

TEST_CASE("when everything fails, only a passed self-check that is newer allows a restart")
{
    Life life{{a_service("db"), a_service("web")}};
    life.pass_self_checks = false;
    life.tape.doubts = true;
    REQUIRE(life.play("db+ web+ 1s self+ 1s db- web- db- web-") ==
            "db:healthy web:healthy db:unhealthy web:unhealthy");
    CHECK(life.hold("db") == Hold::self_doubt);
    CHECK(life.view("db").hold_detail == "everything fails: the self-check must pass first");
    CHECK(life.monitor.wants_self_check(life.now));
    SECTION("an old pass proves nothing, a new one does")
    {
        CHECK(life.play("1s self+@2s db- web-").empty());
        CHECK(life.play("self+").empty());  // it works now; did it then?
        CHECK(life.play("db- web-") == "db! web!");
        CHECK_FALSE(life.monitor.wants_self_check(life.now));
        CHECK(life.monitor.wants_self_check(life.now + 10s));  // and now and again, while nothing answers
    }
    SECTION("a failed one makes everything unknown, until it passes; then all is judged afresh")
    {
        CHECK(life.play("1s self-") == "db:unknown web:unknown doubt");
        CHECK(life.monitor.doubt_reason() == "everything fails, and so does the self-check: self");
        CHECK(life.play("1h db- web- db- web- db? web=").empty());
        CHECK(life.play("self+") == "db:starting web:starting sure");
        CHECK(life.play("db- web-").empty());
        CHECK(life.play("web+ db-") == "web:healthy db:unhealthy db!");
    }
    SECTION("an answer of anybody ends the doubt as well")
    {
        life.play("1s self- 1h");
        CHECK(life.play("web+") == "db:starting web:healthy sure");
        CHECK(life.play("1s db- web+ db-") == "db:unhealthy db!");
    }
    SECTION("a failed self-check that could not even be attempted is a failed one")
    {
        CHECK(life.play("1s self?") == "db:unknown web:unknown doubt");
    }
}

TEST_CASE("while something answers, a failed self-check is no reason to doubt")
{
    Life life{{a_service("db"), a_service("web")}};
    life.pass_self_checks = false;
    CHECK(life.play("db+ web- self- db+ web-") == "db:healthy web:unhealthy web!");
    CHECK_FALSE(life.monitor.in_doubt());
}

TEST_CASE("nothing has answered since: the restart waits for proof that our eyes work")
{
    Life life{{a_service("db"), a_service("web")}};
    life.pass_self_checks = false;
    CHECK(life.play("db+ 1s web- 10s web-") == "db:healthy web:unhealthy");
    CHECK(life.hold("web") == Hold::self_doubt);
    CHECK(life.view("web").hold_detail == "nothing has answered since it began to fail");
    CHECK(life.monitor.wants_self_check(life.now));
    auto [proof, expected] = GENERATE(table<std::string, std::string>({
        {"self+ web-", "web!"},
        {"db+ web-", "web!"},
        {"self+", ""},  // it works now; the attempts so far may still have failed because of us
        {"web- db+", ""},
        {"db+ 1s web-@2s", ""},
        {"db+ 1s web+", "web:healthy"},
        {"self- web-", ""},
        {"db- web-", ""},
        {"db+@11s web-", ""},
    }));
    CAPTURE(proof);
    CHECK(life.play(proof) == expected);
}
