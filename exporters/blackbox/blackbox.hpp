#pragma once

#include "exporters/api.hpp"
#include "exporters/blackbox/attempt.hpp"
#include "exporters/blackbox/logs.hpp"
#include "exporters/blackbox/modules.hpp"

#include <expected>
#include <memory>
#include <optional>
#include <string>

namespace keepwell::blackbox {

struct Settings {
    std::string file{};               // of the modules; empty: /probe is off
    double timeout_offset = 0.5;      // seconds that a scrape's time-out leaves for the answer's way back
    std::size_t history_limit = 100;  // attempts that /logs remembers
};

struct Figures {
    bool reload_ok = true;
    double reload_ok_timestamp_seconds = 0;
    std::uint64_t unknown_modules = 0;
};

// /probe and /logs: attempts on demand, as blackbox_exporter makes them, by modules in its file format.
//
// Off until somebody names the modules' file, because it makes keepwell ask addresses that whoever can reach
// it names. Bounded: so many attempts at a time, each with a deadline.
class Blackbox {
public:
    explicit Blackbox(Settings settings)
        : settings_{std::move(settings)}, logs_{std::make_shared<Logs>(settings_.history_limit)}
    {
    }

    bool is_on() const { return !settings_.file.empty(); }
    const std::string& file() const { return settings_.file; }
    // Reads the modules; on an error, in words, those before stay.
    std::expected<void, std::string> load();
    // Whether the file's content is another one than load() saw last.
    bool has_changed() const;

    ApiResponse probe(const ApiRequest& request);
    ApiResponse logs(const ApiRequest& request) const;

    Figures figures() const { return figures_; }

private:
    static constexpr std::size_t most_attempts = 256;

    std::optional<std::string> content() const;
    std::expected<Clock::duration, std::string> time_for(const ApiRequest& request,
                                                         const Module& module) const;

    Settings settings_;
    std::string loaded_content_{};
    std::shared_ptr<const Modules> modules_ = std::make_shared<const Modules>();
    Figures figures_{};
    std::shared_ptr<Logs> logs_;
    std::shared_ptr<std::size_t> running_ = std::make_shared<std::size_t>(0);
};

}  // namespace keepwell::blackbox
