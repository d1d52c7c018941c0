#include "exporters/command.hpp"

#include "probes/child.hpp"
#include "probes/deadline.hpp"
#include "probes/printable.hpp"

#include <signal.h>
#include <boost/asio/this_coro.hpp>

namespace keepwell {

namespace {

// The words with everything filled in; the configuration was checked, so nothing can be wrong with them.
Program program_of(const CommandAction& action, const ActionContext& context)
{
    Program program{.environment = action.environment, .directory = action.directory, .user = action.user};
    for (const auto& word : action.argv) {
        auto filled = fill_in(word, context);
        if (!filled)
            throw Failure{not_attempted(Reason::bad_configuration, filled.error())};
        program.argv.push_back(std::move(*filled));
    }
    program.environment.merge(variables_of(context));
    return program;
}

std::string with_line(const std::string& text, const std::string& line)
{
    return line.empty() ? text : text + ": " + line;
}

// A daemon that was just started may not have turned its output away yet.
constexpr auto time_to_redirect = 300ms;

// It ended by itself. What it left running with our pipe as its output is told of: it would be killed by
// SIGPIPE when keepwell ends.
asio::awaitable<ActionOutcome> judge(std::shared_ptr<Child> child, Ending ending)
{
    ActionOutcome outcome{.output = child->output()};
    const bool ok = ending == Ending{};
    outcome.result = ok ? ActionResult::ok : ActionResult::failed;
    outcome.detail = ok ? to_string(ending) : with_line(to_string(ending), telling_line(outcome.output));
    if (!ok || !child->output_is_held_open())
        co_return outcome;
    asio::steady_timer timer{co_await asio::this_coro::executor, time_to_redirect};
    co_await timer.async_wait(asio::use_awaitable);
    if (child->output_is_held_open())
        outcome.detail +=
            "; what it left running still writes to keepwell: give it an output of its own "
            "(`>/dev/null 2>&1`)";
    co_return outcome;
}

// Ends the whole group, politely first.
asio::awaitable<ActionOutcome> stop(std::shared_ptr<Child> child, const CommandAction& action)
{
    child->signal_group(SIGTERM);
    const auto ending = co_await within(Clock::now() + action.grace.value, end_of(child, Leftovers::kill));
    if (!ending)
        child->signal_group(SIGKILL);
    ActionOutcome outcome{.result = ActionResult::timed_out, .output = child->output()};
    outcome.detail =
        with_line("not done after " + action.timeout.text() + (ending ? "" : ", nor after SIGTERM"),
                  telling_line(outcome.output));
    co_return outcome;
}

asio::awaitable<ActionOutcome> run_program(const CommandAction& action, const ActionContext& context)
{
    const auto deadline = Clock::now() + action.timeout.value;
    const auto executor = co_await asio::this_coro::executor;
    const auto program = program_of(action, context);
    const auto child = std::make_shared<Child>(executor, program);
    const auto ending = co_await within(deadline, end_of(child, Leftovers::keep));
    if (ending)
        co_return co_await judge(child, *ending);
    co_return co_await stop(child, action);
}

}  // namespace

asio::awaitable<ActionOutcome> act(CommandAction action, ActionContext context)
{
    const auto started = Clock::now();
    ActionOutcome outcome;
    try {
        outcome = co_await run_program(action, context);
    } catch (const Failure& failure) {
        outcome.detail = failure.verdict.detail;
    } catch (const std::exception& error) {
        outcome.detail = error.what();
    }
    outcome.took = Clock::now() - started;
    co_return outcome;
}

}  // namespace keepwell
