#pragma once

#include "daemon/config.hpp"
#include "daemon/expansion.hpp"
#include "daemon/main/commands.hpp"
#include "daemon/main/containers.hpp"
#include "daemon/main/lease_keeper.hpp"
#include "daemon/memory.hpp"
#include "daemon/watcher.hpp"
#include "exporters/alerting.hpp"
#include "exporters/blackbox/blackbox.hpp"
#include "exporters/history.hpp"
#include "exporters/metrics.hpp"
#include "exporters/page/page.hpp"
#include "exporters/server.hpp"
#include "exporters/webhook.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <expected>
#include <optional>
#include <set>

namespace keepwell {

// The running keepwell: wires the rooms together, reloads, remembers, and ends in good order. One loop, one
// thread.
class Daemon {
public:
    explicit Daemon(RunOptions options);

    // Runs until SIGTERM or SIGINT. Throws std::runtime_error when it cannot start.
    int run();

private:
    // Notices what the state file must hold, so that it is written soon after.
    struct Keeper : Sink {
        bool dirty = false;
        void signal_raised(InstanceId, const Signal&, Clock::time_point) override { dirty = true; }
        void signal_cleared(InstanceId, const Signal&, Clock::time_point) override { dirty = true; }
        void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override { dirty = true; }
        void service_changed(ServiceId, State, State, Clock::time_point) override { dirty = true; }
        void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override { dirty = true; }
    };

    // Compares what probes say of containers with what Docker says.
    struct Comparer : Sink {
        explicit Comparer(Daemon& of) : daemon{of} {}
        Daemon& daemon;
        const Monitor* monitor = nullptr;
        void state_changed(InstanceId id, State, State after, Clock::time_point) override;
        void action_finished(InstanceId, const ActionOutcome& outcome, Clock::time_point) override;
    };

    static constexpr std::string_view none = "none";  // of a flag: not at all
    static double unix_now();

    std::expected<Config, std::string> load();
    void tell_problems(const std::vector<Problem>& problems);
    std::string empties(const Config& config) const;
    std::expected<void, std::string> reload();
    std::expected<void, std::string> reload_all();
    std::expected<void, std::string> load_modules();
    void follow_containers();
    void follow_lease();
    bool stands_by(const Config& config) const;
    void refresh(std::string_view why);
    void recall(Monitor& monitor);
    void take_over(std::unique_ptr<Monitor> monitor);
    std::unique_ptr<Monitor> make_monitor();
    Watcher::Settings settings();
    asio::awaitable<ActionOutcome> act_now(Engine engine, RestartAction action, ActionContext context);
    std::string reason_to_wait(const ActionContext& context) const;
    bool is_disputed(const ActionContext& context) const;
    bool has_failed_to_restart(const ActionContext& context) const;
    void configure_receivers();
    void listen();
    void listen_on_socket();
    void choose_state_file();
    void remember();
    DaemonFigures figures();
    std::optional<std::string> content() const;  // of the configuration file
    asio::awaitable<void> reload_on_change(Clock::duration interval);
    asio::awaitable<void> reload_on_hangup();
    asio::awaitable<void> follow_names();
    asio::awaitable<void> let_restarts_end(asio::signal_set& signals);
    asio::awaitable<void> end_on_signal();
    asio::awaitable<void> keep_state();

    RunOptions options_;
    asio::io_context loop_{1};
    Metrics metrics_{};
    History history_{};
    Page page_{loop_, history_};
    Keeper keeper_{};
    Comparer comparer_{*this};
    Webhooks webhooks_{loop_};
    Alerting alerting_{loop_, [this](const Alert& alert) {
                           keeper_.dirty = true;
                           webhooks_.alert_changed(alert);
                       }};
    std::optional<Containers> containers_{};
    std::optional<LeaseKeeper> lease_{};
    std::optional<Watcher> watcher_{};
    blackbox::Blackbox blackbox_;
    std::optional<Api> api_{};
    std::shared_ptr<Door> door_ = std::make_shared<Door>(loop_);
    std::optional<Server> server_{};
    Config config_{};
    NameAddresses addresses_{};  // of the names that `instances: all` follows
    std::string loaded_content_{};
    std::set<std::string> told_{};  // problems of the configuration that have been logged
    bool recalled_ = false;         // what the state file holds of services in containers, too
    std::string remembered_{};
    std::string cannot_remember_{};  // why the state file could not be written the last time
    bool reload_ok_ = true;
    double reload_ok_at_ = 0;
    std::size_t warnings_ = 0;
    int ended_by_ = 0;
};

}  // namespace keepwell
