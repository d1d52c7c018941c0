#pragma once

#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/result.hpp"
#include "probes/secret.hpp"

#include <array>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

using namespace std::chrono_literals;

// What a restart is done with: a program of the user's. Placeholders in `argv`: {service}, {instance},
// {address}, {project}, {container}, {probe}, {cause}, {reason}; `{{` and `}}` are braces. The same are in
// the environment as KEEPWELL_SERVICE and so on, and with them KEEPWELL_DETAIL and KEEPWELL_TIME: what a
// shell is given to read it takes from there, so that no value is ever parsed as a command.
struct CommandAction {
    std::vector<std::string> argv{};
    std::map<std::string, std::string> environment{};
    std::string directory{};
    std::string user{};
    Duration timeout = 60s;
    Duration grace = 5s;

    static constexpr auto fields()
    {
        return std::tuple{
            required(
                "argv", &CommandAction::argv,
                "program and arguments; no shell is involved; {service}, {instance}, {address}, {project}, "
                "{container}, {probe}, {cause} and {reason} are filled in"),
            optional("environment", &CommandAction::environment, "added to keepwell's own environment"),
            optional("directory", &CommandAction::directory, "working directory"),
            optional("user", &CommandAction::user, "user to run as, `name` or `uid:gid` (needs root)"),
            optional("timeout", &CommandAction::timeout, "after this the whole process group is ended")
                .between(1'000'000, 86'400'000'000'000),
            optional("grace", &CommandAction::grace,
                     "time from SIGTERM to SIGKILL when the timeout has passed")
                .between(0, 3'600'000'000'000),
        };
    }
    std::vector<std::string> faults() const;  // unknown placeholders, no program
    bool operator==(const CommandAction&) const = default;
};

// What the Docker Engine is asked to do with an instance's container.
enum class DockerVerb : std::uint8_t { restart, kill, signal, exec, update };
constexpr auto enum_names(DockerVerb)
{
    using enum DockerVerb;
    return std::array{Named{restart, "restart"}, Named{kill, "kill"}, Named{signal, "signal"},
                      Named{exec, "exec"}, Named{update, "update"}};
}

// What a restart is done with: the Docker Engine. Placeholders in `argv` are those of CommandAction.
struct DockerAction {
    DockerVerb action = DockerVerb::restart;
    std::optional<Duration> stop_timeout{};
    std::string signal = "HUP";
    std::vector<std::string> argv{};
    std::optional<Duration> timeout{};

    static constexpr auto fields()
    {
        return std::tuple{
            optional("action", &DockerAction::action,
                     "restart: stop and start, or start what has ended; kill: without a stop before it; "
                     "signal: send one, as `HUP` to reload; exec: run `argv` in it, as [nginx, -s, reload]; "
                     "update: a forced update of its Swarm service"),
            optional("stop_timeout", &DockerAction::stop_timeout,
                     "time from the stop signal to SIGKILL; unset: the container's own (stop_grace_period)")
                .between(0, 3'600'000'000'000),
            optional("signal", &DockerAction::signal, "for `signal`: its name or number"),
            optional("argv", &DockerAction::argv, "for `exec`: program and arguments; no shell is involved"),
            optional(
                "timeout", &DockerAction::timeout,
                "when a restart that does not end becomes a kill and a start, and when the rest is given "
                "up; unset: 30s more than the container has to stop, for `exec` 60s")
                .between(1'000'000, 86'400'000'000'000),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const DockerAction&) const = default;
};

// Whom and why: what an actuator is told.
struct ActionContext {
    std::string project{};
    std::string service{};
    std::string instance{};
    std::string address{};
    std::string container{};  // its name; empty: it is none, as far as is known
    std::string life{};       // of the container that was judged: its id and start; empty: any
    std::string probe{};      // the liveness probe that failed; empty for a cascade
    std::string cause{};      // "unhealthy", or "dependency NAME restarted"
    Reason reason = Reason::none;
    std::string detail{};
    std::chrono::system_clock::time_point at{};
};

// A word of argv with its placeholders filled in; the error names what is wrong with them.
std::expected<std::string, std::string> fill_in(std::string_view word, const ActionContext& context);

// The context as variables for a program: KEEPWELL_PROJECT, KEEPWELL_SERVICE and so on.
std::map<std::string, std::string> variables_of(const ActionContext& context);

enum class ActionResult : std::uint8_t {
    ok,
    failed,
    timed_out,
    not_started,     // nothing was done
    needs_recreate,  // no restart can help, now or later: its container must be made anew, by a person
};

constexpr auto enum_names(ActionResult)
{
    using enum ActionResult;
    return std::array{Named{ok, "ok"}, Named{failed, "failed"}, Named{timed_out, "timed_out"},
                      Named{not_started, "not_started"}, Named{needs_recreate, "needs_recreate"}};
}

struct ActionOutcome {
    ActionResult result = ActionResult::not_started;
    std::string detail{};
    std::string output{};  // the last 4 KiB of what it printed
    Clock::duration took{};
};

}  // namespace keepwell
