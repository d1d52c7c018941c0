#include "probes/exec.hpp"

#include "probes/account.hpp"
#include "probes/child.hpp"
#include "probes/container_exec.hpp"
#include "probes/docker.hpp"
#include "probes/environment.hpp"
#include "probes/printable.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace keepwell {

namespace {

// POSIX: what sh(1) and setpriv(1) exit with when they find the program but cannot execute it, or find none.
constexpr int cannot_execute = 126;
constexpr int not_found = 127;

// Nagios plugin development guidelines, "Plugin Return Codes"; 0 and 2 need no names here.
constexpr int nagios_ok = 0;
constexpr int nagios_warning = 1;
constexpr int nagios_unknown = 3;

Program program_of(const ExecSpec& spec)
{
    Program program{
        .argv = spec.argv, .environment = spec.environment, .directory = spec.directory, .user = spec.user};
    if (!spec.shell.empty())
        program.argv = {"/bin/sh", "-c", spec.shell};
    return program;
}

std::string with_line(std::string text, const std::string& line)
{
    return line.empty() ? text : text + ": " + line;
}

// The part for people of a plugin's first line; performance data follow after a bar.
std::string nagios_line(const std::string& output)
{
    auto line = first_line(output);
    line.erase(std::min(line.find('|'), line.size()));
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

// A program that never ran says nothing about the target: sh(1) and setpriv(1) run in its place, and say so.
bool never_ran(const ExecSpec& spec, int exit_code, const std::string& output)
{
    if (exit_code != cannot_execute && exit_code != not_found)
        return false;
    if (!spec.container.empty())
        return never_started(exit_code);
    return !spec.shell.empty() || (!spec.user.empty() && output.starts_with("setpriv: "));
}

Verdict judge_output(const ExecSpec& spec, const std::string& output, std::string detail)
{
    for (const auto& pattern : spec.output_matches)
        if (!pattern.found_in(output))
            return rejected(
                Reason::output_mismatch,
                with_line("the output does not match \"" + pattern.text() + "\"", telling_line(output)));
    for (const auto& pattern : spec.output_not_matches)
        if (pattern.found_in(output))
            return rejected(Reason::output_mismatch,
                            with_line("the output matches \"" + pattern.text() + "\"", telling_line(output)));
    return ok(std::move(detail));
}

Verdict judge(const ExecSpec& spec, const Ending& ending, const std::string& output)
{
    if (ending.signal != 0)
        return rejected(Reason::killed_by_signal, with_line(to_string(ending), telling_line(output)));
    const auto code = ending.exit_code;
    const bool accepted = std::ranges::find(spec.exit_codes, code) != spec.exit_codes.end();
    if (!accepted && never_ran(spec, code, output))
        return not_attempted(Reason::not_executable, with_line(to_string(ending), telling_line(output)));
    if (!spec.nagios)
        return accepted ? judge_output(spec, output, {})
                        : rejected(Reason::exit_code, with_line(to_string(ending), telling_line(output)));
    if (code == nagios_unknown)
        return not_attempted(Reason::undetermined,
                             with_line("the plugin could not tell", nagios_line(output)));
    if (code == nagios_ok || (code == nagios_warning && spec.warning_is_ok))
        return judge_output(spec, output, nagios_line(output));
    return rejected(Reason::exit_code,
                    with_line(code == nagios_warning ? "warning" : to_string(ending), nagios_line(output)));
}

// ---- inside a container ----

ContainerProgram inside_of(const ExecSpec& spec)
{
    const auto program = program_of(spec);
    return {.container = spec.container,
            .argv = program.argv,
            .environment = program.environment,
            .directory = program.directory,
            .user = program.user};
}

// That the container is not there, or what was started before still runs, is about the target; the rest is
// not.
bool is_about_target(Reason reason)
{
    return reason == Reason::not_running || reason == Reason::still_running;
}

asio::awaitable<Verdict> probe_inside(const ExecSpec& spec, Progress& progress)
{
    ContainerProgramEnd end;
    try {
        end = co_await run_inside(Engine{spec.engine}, inside_of(spec), progress.verdict_due());
    } catch (const Failure& failure) {
        const auto& verdict = failure.verdict;
        co_return is_about_target(verdict.reason) ? verdict : blame_engine(verdict);
    }
    progress.keep_output(end.output);
    if (!end.exit_code)
        co_return no_response(
            Reason::timeout, with_line("not done in time, and still running in the container: the API has no "
                                       "way to end it",
                                       telling_line(end.output)));
    co_return judge(spec, {.exit_code = *end.exit_code}, end.output);
}

bool has_nul(const std::string& text) { return text.contains('\0'); }

}  // namespace

std::vector<std::string> ExecSpec::faults() const
{
    std::vector<std::string> found;
    if (argv.empty() && shell.empty())
        found.emplace_back("exec needs `argv`, a list such as [nginx, -t], or `shell`");
    if (!argv.empty() && !shell.empty())
        found.emplace_back("exec takes `argv` or `shell`, not both");
    if (!argv.empty() && argv.front().empty())
        found.emplace_back("argv: the program's name is empty");
    if (argv.size() == 1 && argv.front().find_first_of(" \t\n") != std::string::npos)
        found.emplace_back(
            "argv is one word with blanks: write a list such as [nginx, -t], or use `shell` instead");
    if (std::ranges::any_of(argv, has_nul) || has_nul(shell) || has_nul(directory))
        found.emplace_back("argv, shell and directory cannot hold a NUL character");
    for (const auto& [name, value] : environment) {
        if (auto fault = name_fault(name); !fault.empty())
            found.push_back("environment: " + fault);
        if (has_nul(value))
            found.push_back("environment: the value of " + name + " holds a NUL character");
    }
    if (auto fault = container_fault(container); !container.empty() && !fault.empty())
        found.push_back("container: " + fault);
    if (container.empty() && engine != EngineOptions{})
        found.emplace_back("engine: only with `container` is it asked");
    if (auto fault = user_fault(user); !user.empty() && !fault.empty())
        found.push_back("user: " + fault);
    if (exit_codes.empty() ||
        std::ranges::any_of(exit_codes, [](int code) { return code < 0 || code > 255; }))
        found.emplace_back("exit_codes: expected a list of numbers from 0 to 255");
    if (nagios && exit_codes != std::vector{0})
        found.emplace_back("exit_codes: with `nagios: true` the exit codes have their meaning already");
    if (!nagios && !warning_is_ok)
        found.emplace_back("warning_is_ok: only with `nagios: true` is there a warning");
    return found;
}

asio::awaitable<Verdict> probe(const ExecSpec& spec, Progress& progress)
{
    if (!spec.container.empty()) {
        progress.enter(Phase::reply);
        co_return co_await probe_inside(spec, progress);
    }
    const auto executor = co_await asio::this_coro::executor;
    const auto program = program_of(spec);
    auto child = std::make_shared<Child>(
        executor, program, [&progress](std::string output) { progress.keep_output(std::move(output)); });
    progress.enter(Phase::reply);
    const auto ending = co_await end_of(child, Leftovers::kill);
    co_return judge(spec, ending, child->output());
}

}  // namespace keepwell
