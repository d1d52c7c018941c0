#pragma once

#include "daemon/monitor.hpp"
#include "probes/runner.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>

namespace keepwell {

// Restarts one instance; awaited once at a time per instance. Never throws.
using Actuator = std::function<asio::awaitable<ActionOutcome>(RestartAction, ActionContext)>;

// How the watcher itself is doing.
struct WatcherFigures {
    std::uint64_t ticks = 0;
    std::uint64_t late_ticks = 0;        // more than 50 ms after their time
    std::uint64_t skipped_attempts = 0;  // the one before had not ended
    Clock::duration worst_lateness{};    // of a tick since it was last asked for
    std::size_t attempts_running = 0;
    std::size_t actions_running = 0;
};

// The watching half on the loop: attempts probes when they are due, hands the results to the monitor, and
// carries out what the monitor asks for. Owns the monitor. Everything happens on the loop's thread.
class Watcher {
public:
    struct Settings {
        SharedSpec self_check{};  // asked while something fails; null: none
        Actuator act{};
    };

    Watcher(asio::io_context& loop, std::unique_ptr<Monitor> monitor, Settings settings);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void start();
    // Begins nothing any more; attempts and actions under way go on.
    void rest();
    // Ends all attempts and actions and returns; nothing of this watcher runs any more after the loop's next
    // turn.
    void stop();
    // A reload: the new monitor takes over at once. Attempts under way are forgotten, actions under way
    // report to it, and probes that did not change keep their due times.
    void replace(std::unique_ptr<Monitor> monitor, Settings settings);

    void change(Settings settings) { settings_ = std::move(settings); }

    Monitor& monitor() { return *monitor_; }
    const Monitor& monitor() const { return *monitor_; }
    // To be called after the monitor was changed from outside (maintenance, resume).
    void wake();
    WatcherFigures figures() const;
    void forget_lateness();  // the worst one begins anew

private:
    struct Due {
        Clock::time_point at;
        ProbeId probe;
        bool operator>(const Due& other) const { return at > other.at; }
    };
    struct Slot {  // of one probe
        Clock::time_point due = Clock::time_point::max();
        std::weak_ptr<Progress> running{};
    };

    asio::awaitable<void> tick(std::shared_ptr<bool> alive);
    asio::awaitable<void> attempt(ProbeId id, std::uint64_t generation, Clock::time_point due,
                                  std::shared_ptr<bool> alive);
    asio::awaitable<void> ask_gates(Request request, std::uint64_t generation, std::shared_ptr<bool> alive);
    asio::awaitable<void> carry_out(Request request, RestartAction action, std::shared_ptr<bool> alive);
    asio::awaitable<void> check_self(std::shared_ptr<bool> alive);

    void plan_all(Clock::time_point now);
    void plan(ProbeId id, Clock::time_point due);
    void begin_due(Clock::time_point now);
    void apply(std::vector<Request> requests);
    void reschedule_started(InstanceId id);
    void skip_missed(Clock::time_point now);
    void consult(Clock::time_point now);
    void spawn(asio::awaitable<void> work);
    void nudge(Clock::time_point at);
    Clock::time_point next_wake(Clock::time_point now) const;

    asio::io_context& loop_;
    std::unique_ptr<Monitor> monitor_;
    Settings settings_;
    asio::steady_timer timer_;
    std::vector<Slot> slots_{};
    std::vector<Due> queue_{};  // a heap; entries whose time is not their slot's are stale
    std::uint64_t generation_ = 0;
    bool dirty_ = false;  // the monitor has news that its rules have not seen
    Clock::time_point planned_wake_{};
    Clock::time_point last_advance_{};
    Clock::time_point next_self_check_{};
    bool self_check_running_ = false;
    bool resting_ = false;
    WatcherFigures figures_{};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(false);
};

}  // namespace keepwell
