#pragma once

#include "deploy/app/log.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Where is everything, and who may use it? All of it from environment variables, under the names that the
// usual frameworks and images give them; an empty variable counts as not set. Passwords and URLs with
// passwords may stand in a file instead: NAME_FILE. None of them is ever logged.
namespace keepwell::app {

struct RedisSettings {
    std::string host{};
    std::uint16_t port = 6379;
    std::string username{};
    std::string password{};
    int database = 0;
};

enum class DatabaseKind { postgres, mysql };

struct DatabaseSettings {
    DatabaseKind kind = DatabaseKind::postgres;
    std::string host{};
    std::uint16_t port = 5432;
    std::string name{};
    std::string username{};
    std::string password{};
};

struct HeartbeatSettings {
    std::string url{};   // POSTed to
    std::string key{};   // written in Redis: Unix seconds, gone after three intervals
    std::string file{};  // touched
    std::chrono::seconds interval{10};
};

struct Settings {
    std::string host{};  // to listen on; empty: every address, IPv6 and IPv4
    std::uint16_t port = 0;
    std::optional<std::uint16_t> metrics_port{};  // of the worker, which has no other
    std::optional<RedisSettings> redis{};
    std::optional<DatabaseSettings> database{};
    std::string api_host{};  // where the web role finds the API
    std::uint16_t api_port = 8000;
    std::string environment{};  // development, testing, production
    std::string queue{};        // the Redis list with the jobs
    HeartbeatSettings heartbeat{};
    Level log_level = Level::info;
    bool faults = false;
};

// "scheme://user:password@host:port/path" in parts, percent-decoded; what is not there is empty.
struct Url {
    std::string scheme{};
    std::string username{};
    std::string password{};
    std::string host{};
    std::optional<std::uint16_t> port{};
    std::string path{};  // with its leading slash, and with the query
};
std::expected<Url, std::string> parse_url(std::string_view text);

using Lookup = std::function<const char*(const char* name)>;

// The settings of a role ("api", "web" or "worker"), or every problem there is, one sentence each.
std::expected<Settings, std::vector<std::string>> read_settings(std::string_view role, const Lookup& lookup);

}  // namespace keepwell::app
