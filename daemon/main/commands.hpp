#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace keepwell {

inline constexpr int exit_usage = 100;   // wrong usage or configuration
inline constexpr int exit_system = 111;  // the system failed us

// keepwell.yaml here, else in /etc/keepwell when it is there.
std::string usual_config_file();

struct RunOptions {
    std::string config_file = usual_config_file();
    bool check_only = false;
    std::string reload_interval = "10s";  // a Duration, which the flag has been checked to be
    std::vector<std::string> listen{};
    std::string socket = "/run/keepwell/keepwell.sock";
    bool socket_is_given = false;  // by a flag: then it must be possible
    std::string socket_mode = "0660";
    std::string web_config_file{};
    std::size_t most_connections = 10'000;
    std::string state_file{};     // empty: the configuration says, or the usual place
    std::string blackbox_file{};  // modules for /probe; empty: no /probe
    double timeout_offset = 0.5;
    std::size_t history_limit = 100;
    std::string log_level = "info";
    std::string log_format = "logfmt";
};

struct CommandOptions {
    std::string file = usual_config_file();
    std::string compose_file = "-";
    std::string kind{};
    std::vector<std::string> targets{};
    std::vector<std::string> settings{};
    std::string timeout = "5s";
    std::string url{};
    std::string service{};
    std::string note{};
    std::string receiver{};
    bool dry_run = false;
    bool docker = false;
    bool json = false;
    bool watch = false;
};

// Each returns the exit code. Errors of the system are thrown as std::exception.
int run_command(const RunOptions&);
int check_command(const std::string& file, bool docker);
int check_web_config(const std::string& file);  // an empty name: nothing to check
int check_modules(const std::string& file);     // likewise
int import_command(const std::string& compose_file);
int probe_command(const CommandOptions&);
int status_command(const CommandOptions&);
int explain_command(const CommandOptions&);
int maintenance_command(const CommandOptions&, bool on);
int notify_test_command(const CommandOptions&);
int reference_command();
int schema_command();

}  // namespace keepwell
