#include "tests/catch.hpp"

#include "exporters/command.hpp"
#include "tests/unit/processes.hpp"

using namespace keepwell;
using namespace keepwell::test;

namespace {

const ActionContext context{.project = "shop",
                            .service = "api",
                            .instance = "api-2",
                            .probe = "http",
                            .cause = "unhealthy",
                            .reason = Reason::timeout,
                            .detail = "$(touch /tmp/never)"};

CommandAction shell(std::string script) { return {.argv = {"/bin/sh", "-c", std::move(script)}}; }

ActionOutcome act_now(asio::io_context& loop, CommandAction action)
{
    std::optional<ActionOutcome> outcome;
    asio::co_spawn(loop, act(std::move(action), context), [&](std::exception_ptr error, ActionOutcome end) {
        if (error)
            std::rethrow_exception(error);
        outcome = std::move(end);
    });
    REQUIRE(run_until(loop, [&] { return outcome.has_value(); }, 20s));
    return *outcome;
}

pid_t printed_pid(const ActionOutcome& outcome) { return static_cast<pid_t>(std::stol(outcome.output)); }

}  // namespace

TEST_CASE("command: what came of it is told")
{
    auto [action, result, detail] = GENERATE(table<CommandAction, ActionResult, std::string>({
        {shell("exit 0"), ActionResult::ok, "exit code 0"},
        {shell("echo restarting; echo it failed; exit 3"), ActionResult::failed, "exit code 3: it failed"},
        {shell("kill -ABRT $$"), ActionResult::failed, "killed by SIGABRT"},
        {{.argv = {"no-such-program-at-all"}},
         ActionResult::not_started,
         "\"no-such-program-at-all\" is not in PATH"},
        {{.argv = {"true"}, .directory = "/no/such"}, ActionResult::not_started, "directory /no/such"},
        {{.argv = {"{nonsense}"}}, ActionResult::not_started, "no placeholder"},
        {{.argv = {"sleep", "60"}, .timeout = 200ms}, ActionResult::timed_out, "not done after 200ms"},
    }));
    CAPTURE(detail);
    asio::io_context loop;
    const auto outcome = act_now(loop, action);
    CHECK(outcome.result == result);
    CHECK_THAT(outcome.detail, Catch::Matchers::ContainsSubstring(detail));
    CHECK(outcome.took < 3s);
    CHECK(run_until(loop, [] { return !has_children(); }));
}

TEST_CASE("command: placeholders become words of argv, never text for a shell")
{
    asio::io_context loop;
    // Only what is said of the action: who starts the tests may have variables of such names, too.
    const std::string ours = "'^KEEPWELL_(ADDRESS|CAUSE|DETAIL|INSTANCE|PROBE|PROJECT|REASON|SERVICE|TIME)='";
    const auto outcome =
        act_now(loop, {.argv = {"/bin/sh", "-c", "printf '%s|' \"$@\"; env | grep -E " + ours + " | sort",
                                "{service}", "{instance}", "{project} of {cause}"},
                       .environment = {{"KEEPWELL_PROBE", "mine"}}});
    CHECK(outcome.output ==
          "api-2|shop of unhealthy|KEEPWELL_ADDRESS=\nKEEPWELL_CAUSE=unhealthy\n"
          "KEEPWELL_DETAIL=$(touch /tmp/never)\nKEEPWELL_INSTANCE=api-2\nKEEPWELL_PROBE=mine\n"
          "KEEPWELL_PROJECT=shop\nKEEPWELL_REASON=timeout\nKEEPWELL_SERVICE=api\n"
          "KEEPWELL_TIME=1970-01-01T00:00:00.000Z\n");
}

TEST_CASE("command: at its deadline it may tidy up, and so may its children")
{
    asio::io_context loop;
    auto action = shell("trap 'echo tidied; exit 0' TERM; echo working; sleep 60 & wait");
    action.timeout = 200ms;
    const auto outcome = act_now(loop, action);
    CHECK(outcome.result == ActionResult::timed_out);
    CHECK(outcome.output == "working\ntidied\n");
    CHECK(outcome.took < 3s);
    CHECK(run_until(loop, [] { return !has_children(); }));
}

TEST_CASE("command: who ignores SIGTERM is killed after the grace, with the whole group")
{
    asio::io_context loop;
    auto action = shell("trap '' TERM; sleep 60 & echo $!; wait; sleep 60");
    action.timeout = 200ms;
    action.grace = 300ms;
    const auto outcome = act_now(loop, action);
    CHECK(outcome.result == ActionResult::timed_out);
    CHECK_THAT(outcome.detail, Catch::Matchers::ContainsSubstring("nor after SIGTERM"));
    CHECK(outcome.took >= 500ms);
    CHECK(outcome.took < 3s);
    CHECK(run_until(loop, [] { return !has_children(); }));
    CHECK(run_until(loop, [&] { return !is_alive(printed_pid(outcome)); }));
}

TEST_CASE("command: what it starts and leaves running stays, even when it writes to the output it was given")
{
    asio::io_context loop;
    const auto outcome =
        act_now(loop, shell("(i=0; while [ $i -lt 600 ]; do sleep 0.1; echo alive; i=$((i+1)); done) & "
                            "echo $!"));
    CHECK(outcome.result == ActionResult::ok);
    CHECK(outcome.took < 3s);
    CHECK_THAT(outcome.detail, Catch::Matchers::ContainsSubstring("an output of its own"));
    const auto pid = printed_pid(outcome);
    loop.restart();
    loop.run_for(500ms);  // it writes several times meanwhile; without a reader SIGPIPE would end it
    CHECK(is_alive(pid));
    ::kill(pid, SIGKILL);
    CHECK(run_until(loop, [&] { return !is_alive(pid); }));
}

TEST_CASE("command: what it starts with an output of its own is left alone")
{
    asio::io_context loop;
    const auto outcome = act_now(loop, shell("sleep 60 >/dev/null 2>&1 & echo $!"));
    CHECK(outcome.detail == "exit code 0");
    const auto pid = printed_pid(outcome);
    CHECK(is_alive(pid));
    ::kill(pid, SIGKILL);
    CHECK(run_until(loop, [&] { return !is_alive(pid); }));
}

TEST_CASE("command: many actions leave no descriptor behind")
{
    asio::io_context loop;
    act_now(loop, shell("exit 0"));
    loop.poll();
    const auto before = open_descriptors();
    for (int i = 0; i < 20; ++i) {
        auto action = shell(i % 2 ? "exit 1" : "sleep 60");
        action.timeout = i % 4 ? 5s : 20ms;
        if (i % 4 == 2)
            action.argv = {"/no/such/program"};
        act_now(loop, action);
    }
    CHECK(run_until(loop, [&] { return !has_children() && open_descriptors() == before; }));
}
