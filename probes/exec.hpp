#pragma once

#include "probes/engine.hpp"
#include "probes/pattern.hpp"

#include <map>
#include <tuple>

namespace keepwell {

// What does a program of the user's say? Its exit code answers, as in Docker's health checks and in Nagios'
// plugins; what it prints may be asked about, too. Also the config test that guards a restart (`nginx -t`).
struct ExecSpec {
    std::vector<std::string> argv{};
    std::string shell{};
    std::map<std::string, std::string> environment{};
    std::string directory{};
    std::string user{};
    std::vector<int> exit_codes{0};
    std::vector<Pattern> output_matches{};
    std::vector<Pattern> output_not_matches{};
    bool nagios = false;
    bool warning_is_ok = true;
    std::string container{};
    EngineOptions engine{};

    static constexpr std::string_view kind = "exec";
    static constexpr std::string_view summary = "runs a program and judges its exit code and output";
    static constexpr auto fields()
    {
        return std::tuple{
            optional("argv", &ExecSpec::argv, "program and arguments, as a list; no shell is involved"),
            optional("shell", &ExecSpec::shell, "a command for `/bin/sh -c`, instead of argv"),
            optional("environment", &ExecSpec::environment,
                     "variables added to keepwell's own; those of keepwell's that look like secrets are not "
                     "passed on"),
            optional("directory", &ExecSpec::directory, "working directory; empty: keepwell's"),
            optional("user", &ExecSpec::user, "user to run as: name or uid, either with :group (needs root)"),
            optional("exit_codes", &ExecSpec::exit_codes, "exit codes that are ok"),
            optional("output_matches", &ExecSpec::output_matches,
                     "regexes that must all be found in the output (its last 4 KiB)"),
            optional("output_not_matches", &ExecSpec::output_not_matches,
                     "regexes of which none may be found in the output"),
            optional("nagios", &ExecSpec::nagios,
                     "the program is a Nagios plugin: 0 ok, 1 warning, 2 critical, 3 not attempted"),
            optional("warning_is_ok", &ExecSpec::warning_is_ok, "a Nagios warning counts as ok"),
            optional("container", &ExecSpec::container,
                     "name or id of a container to run it in; environment, directory and user are then the "
                     "container's, and the Docker Engine must allow exec"),
            optional("engine", &ExecSpec::engine,
                     "which Docker Engine runs it in the container; unset: that of the key `docker`"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const ExecSpec&) const = default;
};

// At the deadline the program's whole process group is killed; what it had printed by then is in the result.
// Only what runs in a container cannot be ended: the Engine's API has no way. It is not started again there
// until it has ended by itself.
asio::awaitable<Verdict> probe(const ExecSpec& spec, Progress& progress);

}  // namespace keepwell
