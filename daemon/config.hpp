#pragma once

#include "daemon/alert.hpp"
#include "daemon/docker/found.hpp"
#include "daemon/docker/settings.hpp"
#include "daemon/lease.hpp"
#include "daemon/problem.hpp"
#include "daemon/receiver.hpp"
#include "daemon/stack.hpp"
#include "daemon/variables.hpp"

namespace keepwell {

// Everything that a configuration file says; see docs/reference.md.
struct Config {
    StackSpec stack{};
    std::optional<Probe> self_check{};  // fails when it is us who are cut off
    Url external_url{};                 // of the status page, as people reach it; may be empty
    AlertTimes alert_after{};
    std::optional<AlertmanagerSettings> alertmanager{};  // told of alerts
    std::vector<WebhookSettings> webhooks{};             // told of signals and actions
    std::optional<DockerSettings> docker{};              // services are found in containers, too
    std::optional<LeaseSettings> lease{};                // who acts, when several watch the same
    std::string state_path{};  // what outlives a restart of keepwell; empty: nothing does
    bool operator==(const Config&) const = default;
};

// A configuration and all that is wrong with it, sorted by place. With errors among the problems the
// configuration is incomplete and not to be used.
struct LoadedConfig {
    Config config{};
    std::vector<Problem> problems{};
    bool ok() const { return !has_errors(problems); }
};

// Reads the file and the files of secrets that it names. A file that cannot be read is a problem, too.
// With what was found in containers its services are added; what the file says of one goes before what its
// container tells, and what its labels say goes before that.
LoadedConfig load_config(const std::string& path, const Variables& variables = environment,
                         const docker::Found* found = nullptr);

// The same for a text; `file` names it in problems, `directory` is where relative paths begin.
LoadedConfig parse_config(std::string_view text, const std::string& file, const std::string& directory,
                          const Variables& variables = environment, const docker::Found* found = nullptr);

// One probe from a command line: `make_probe("redis", "cache:6379", {"password_file=/run/secrets/redis",
// "tls=true"})`. A setting is `key=value` with the keys of the kind or of a probe (`timeout=2s`), dots for
// keys within keys, and values as in the configuration (`argv=[nginx, -t]`). The target is the value of the
// kind's first key: one word, or none, or several for a key that is a list.
struct LoadedProbe {
    Probe probe{};
    std::vector<Problem> problems{};
    bool ok() const { return !has_errors(problems); }
};
LoadedProbe make_probe(std::string_view kind, std::span<const std::string> target,
                       std::span<const std::string> settings = {});
LoadedProbe make_probe(std::string_view kind, std::string_view target,
                       std::span<const std::string> settings = {});

// The configuration as text, one line for each thing that is said, without defaults and secrets.
std::string text_of(const Config& config);

}  // namespace keepwell
