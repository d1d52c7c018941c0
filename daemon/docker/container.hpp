#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::docker {

// A container's health check as the Engine has it; times in nanoseconds, 0 for Docker's default.
struct Healthcheck {
    std::vector<std::string> test{};  // CMD, CMD-SHELL or NONE first; empty: there is none
    std::int64_t interval = 0;
    std::int64_t timeout = 0;
    std::int64_t start_period = 0;
    std::int64_t start_interval = 0;
    int retries = 0;
    bool operator==(const Healthcheck&) const = default;
};

enum class Status : std::uint8_t { created, running, paused, restarting, removing, exited, dead };

// What keepwell wants to know of one container (Engine API, GET /containers/{id}/json).
struct Container {
    std::string id{};
    std::string name{};  // without the leading slash
    std::string image{};
    Status status = Status::created;
    std::string health{};        // starting, healthy, unhealthy or empty; means nothing unless it is running
    std::string started_at{};    // RFC 3339, as the Engine prints it: a new value is a new life
    bool asked_to_stop = false;  // by a request since it was started
    bool never_ran = false;      // not while we looked
    int exit_code = 0;
    bool oom_killed = false;
    int restart_count = 0;         // by Docker's own policy; a restart through the API sets it to 0
    std::string restart_policy{};  // no, always, unless-stopped, on-failure
    int stop_timeout = 10;         // seconds from the stop signal to SIGKILL
    std::string network_mode{};    // a network's name, host, none, container:ID
    std::string pid_mode{};
    std::string ipc_mode{};
    std::map<std::string, std::string> addresses{};  // by network id; numeric
    std::vector<std::string> ports{};                // exposed TCP ports, ascending
    std::vector<std::string> environment{};          // NAME=value
    std::map<std::string, std::string> labels{};
    Healthcheck healthcheck{};

    bool running() const { return status == Status::running; }
    std::string label(std::string_view key) const;  // empty when there is none
    bool operator==(const Container&) const = default;
};

// The error says in words what is wrong with the text.
std::expected<Container, std::string> parse_container(std::string_view json);

// The ids in the answer to GET /containers/json.
std::expected<std::vector<std::string>, std::string> parse_container_ids(std::string_view json);

}  // namespace keepwell::docker
