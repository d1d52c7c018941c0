// What outlives the daemon: its state file.
#include "daemon/main/daemon.hpp"

#include "daemon/log.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <filesystem>

namespace keepwell {

namespace {

constexpr auto state_pause = 1s;  // the state file is written this much after a change at the latest
constexpr auto state_retry = 5s;  // after it could not be written
constexpr std::string_view default_state_file = "/var/lib/keepwell/state.json";

}  // namespace

// What outlived keepwell's restart. Of services in containers once they are known, and alerts then.
void Daemon::recall(Monitor& monitor)
{
    if (recalled_ || options_.state_file == none)
        return;
    recalled_ = !config_.docker || (containers_ && containers_->found());
    if (const auto warning =
            recall_file(options_.state_file, monitor, recalled_ ? &alerting_.alerts() : nullptr, Clock::now(),
                        std::chrono::system_clock::now()))
        log(LogLevel::warn, *warning, {{"file", options_.state_file}});
}

// The flag, else the configuration, else the usual place if it is ours.
void Daemon::choose_state_file()
{
    if (options_.state_file.empty())
        options_.state_file = config_.state_path;
    if (!options_.state_file.empty())
        return;
    const auto directory = std::filesystem::path{default_state_file}.parent_path();
    options_.state_file = ::access(directory.c_str(), W_OK) == 0 ? default_state_file : none;
    if (options_.state_file == none)
        log(LogLevel::info,
            "restarts and maintenance are forgotten when keepwell ends: give it a --state.file",
            {{"tried", std::string{default_state_file}}});
}

void Daemon::remember()
{
    keeper_.dirty = false;
    if (options_.state_file == none || !recalled_)
        return;
    const auto text =
        memory_text(watcher_->monitor(), alerting_.alerts(), Clock::now(), std::chrono::system_clock::now());
    if (text == remembered_)
        return;
    const auto error = write_memory(options_.state_file, text);
    if (error && *error != cannot_remember_)
        log(LogLevel::warn, "the state file cannot be written; restarts are forgotten when keepwell ends",
            {{"file", options_.state_file}, {"error", *error}});
    if (!error && !cannot_remember_.empty())
        log(LogLevel::info, "the state file can be written again", {{"file", options_.state_file}});
    cannot_remember_ = error.value_or("");
    keeper_.dirty = error.has_value();  // to be tried again
    if (!error)
        remembered_ = text;
}

asio::awaitable<void> Daemon::keep_state()
{
    asio::steady_timer timer{loop_};
    for (;;) {
        timer.expires_after(cannot_remember_.empty() ? state_pause : state_retry);
        co_await timer.async_wait(asio::use_awaitable);
        if (keeper_.dirty)
            remember();
    }
}

}  // namespace keepwell
