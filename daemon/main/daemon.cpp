#include "daemon/main/daemon.hpp"

#include "daemon/log.hpp"
#include "daemon/main/service_manager.hpp"
#include "daemon/version.hpp"
#include "exporters/command.hpp"
#include "exporters/docker.hpp"
#include "probes/heartbeats.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace keepwell {

namespace {

constexpr auto events_pause = 250ms;
constexpr int most_pauses = 20;  // until what was told is looked at
constexpr std::string_view disputed =
    "it was never well from here, and Docker does not call it unhealthy: what its health check asks may not "
    "be open to others (listens on 127.0.0.1?)";

// A target needs a descriptor while it is probed; the usual soft limit of 1024 is for programs that use
// select(2).
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

asio::awaitable<ActionOutcome> carry_out(Engine engine, RestartAction action, ActionContext context)
{
    if (auto* command = std::get_if<CommandAction>(&action))
        return act(std::move(*command), std::move(context));
    // Among several projects a service's name begins with its project's, which its labels do not know.
    if (context.service.starts_with(context.project + "."))
        context.service.erase(0, context.project.size() + 1);
    return act(std::move(engine), std::get<DockerAction>(std::move(action)), std::move(context));
}

// What must answer as long as it is not us who are cut off; null: there is nothing of ours to ask.
SharedSpec check_of(const Server& server)
{
    if (auto address = server.own_address())
        return std::make_shared<const ProbeSpec>(TcpSpec{.address = *std::move(address)});
    if (auto socket = server.own_socket(); !socket.empty())
        return std::make_shared<const ProbeSpec>(HttpSpec{
            .url = Url::parse("http://localhost/-/healthy").value(), .unix_socket = std::move(socket)});
    return nullptr;
}

LogLevel level_of(std::string_view name)
{
    return name == "debug"   ? LogLevel::debug
           : name == "warn"  ? LogLevel::warn
           : name == "error" ? LogLevel::error
                             : LogLevel::info;
}

}  // namespace

Daemon::Daemon(RunOptions options)
    : options_{std::move(options)},
      blackbox_{{.file = options_.blackbox_file,
                 .timeout_offset = options_.timeout_offset,
                 .history_limit = options_.history_limit}}
{
    if (options_.listen.empty())
        options_.listen = {":5337"};
}

Watcher::Settings Daemon::settings()
{
    auto check = config_.self_check ? config_.self_check->spec : nullptr;
    if (!check && server_)
        check = check_of(*server_);
    return {.self_check = check,
            .act = [this, engine = Engine{config_.docker.value_or(DockerSettings{})}](RestartAction action,
                                                                                      ActionContext context) {
                return act_now(engine, std::move(action), std::move(context));
            }};
}

// That somebody has stopped a container is told by an event, which may be on its way still.
asio::awaitable<ActionOutcome> Daemon::act_now(Engine engine, RestartAction action, ActionContext context)
{
    asio::steady_timer timer{loop_};
    for (int pauses = 0; containers_ && !context.container.empty() && pauses < most_pauses; ++pauses) {
        timer.expires_after(events_pause);
        co_await timer.async_wait(asio::use_awaitable);
        if (containers_ && containers_->is_current())
            break;
    }
    if (auto why = reason_to_wait(context); !why.empty())
        co_return ActionOutcome{.result = ActionResult::not_started, .detail = std::move(why)};
    if (containers_)
        context.life = containers_->life_of(context.container);
    co_return co_await carry_out(std::move(engine), std::move(action), std::move(context));
}

std::string Daemon::reason_to_wait(const ActionContext& context) const
{
    if (stands_by(config_))
        return "another keepwell may act by now";
    if (is_disputed(context))
        return std::string{disputed};
    if (!containers_ || context.container.empty() || has_failed_to_restart(context))
        return {};
    return containers_->reason_to_wait(context.container);
}

bool Daemon::has_failed_to_restart(const ActionContext& context) const
{
    const auto& monitor = watcher_->monitor();
    const auto service = monitor.stack().find(context.service);
    const auto instance = service ? monitor.stack().find(*service, context.instance) : std::nullopt;
    return instance && monitor.instance(*instance).left_by_us();
}

// What a person has said to ask is not for Docker to dispute.
bool Daemon::is_disputed(const ActionContext& context) const
{
    const auto& stack = watcher_->monitor().stack();
    const auto service = stack.find(context.service);
    return containers_ && service && stack.services()[*service].spec->native &&
           containers_->is_disputed(context.container);
}

// Later: whoever tells of a state cannot be taken over meanwhile.
void Daemon::Comparer::state_changed(InstanceId id, State, State after, Clock::time_point)
{
    const auto& stack = monitor->stack();
    const auto& row = stack.instances()[id];
    const auto& service = *stack.services()[row.service].spec;
    if (!service.native)
        return;
    asio::post(daemon.loop_,
               [&daemon = daemon, service = service.name, container = row.spec->container, after] {
                   if (daemon.containers_)
                       daemon.containers_->note_state(service, container, after);
               });
}

// What was seen of a container while an action was under way was taken for the action's doing.
void Daemon::Comparer::action_finished(InstanceId, const ActionOutcome& outcome, Clock::time_point)
{
    if (outcome.result == ActionResult::not_started)
        asio::post(daemon.loop_, [&daemon = daemon] {
            if (daemon.containers_)
                daemon.containers_->tell(daemon.watcher_->monitor(), Clock::now());
        });
}

void Daemon::listen()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);  // half of them are for probes, whatever comes in
    const auto most = std::min<std::size_t>(options_.most_connections, limit.rlim_cur / 2);
    const auto mode = static_cast<mode_t>(std::stoul(options_.socket_mode, nullptr, 8));
    server_.emplace(loop_, *api_,
                    Server::Settings{.door = door_, .most_connections = most, .socket_mode = mode});
    for (const auto& address : options_.listen)
        if (address != none)
            server_->listen(address);
    if (options_.socket != none)
        listen_on_socket();
    for (const auto& address : server_->addresses())
        log(LogLevel::info, "listening", {{"address", address}});
    if (!config_.self_check && !check_of(*server_))
        log(LogLevel::warn,
            "when everything fails at once, nothing is restarted: without a listener there is nothing to "
            "tell "
            "by that it is not keepwell itself that is cut off; configure `self_check`");
}

// The usual place may be none of ours, where keepwell is run by hand; what was asked for must be there.
void Daemon::listen_on_socket()
{
    const auto path = std::filesystem::path{options_.socket};
    const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
    if (::access(directory.c_str(), W_OK) == 0)
        return server_->listen_unix(options_.socket);
    const auto why = directory.string() + ": " + std::generic_category().message(errno);
    if (options_.socket_is_given || !server_->own_address())
        throw std::runtime_error{"cannot listen on " + options_.socket + ": " + why +
                                 "; make this directory writable, or choose another place with --web.socket"};
    log(LogLevel::warn, "no unix socket", {{"socket", options_.socket}, {"reason", why}});
}

DaemonFigures Daemon::figures()
{
    const auto watcher = watcher_->figures();
    const auto engine = containers_ ? containers_->figures() : docker::DiscoveryFigures{};
    const auto modules = blackbox_.figures();
    return {.reload_ok = reload_ok_ && door_->is_current(),
            .reload_ok_timestamp_seconds = reload_ok_at_,
            .loop_lateness_seconds = std::chrono::duration<double>(watcher.worst_lateness).count(),
            .late_ticks = watcher.late_ticks,
            .skipped_attempts = watcher.skipped_attempts,
            .attempts_running = watcher.attempts_running,
            .webhooks = webhooks_.figures(),
            .alertmanager = alerting_.figures(),
            .alerts_firing = alerting_.alerts().firing(),
            .config_warnings = warnings_,
            .stands_by = stands_by(config_),
            .follows_engine = containers_.has_value(),
            .engine_up = engine.up,
            .engine_events = engine.events,
            .engine_looks = engine.looks,
            .engine_failed_looks = engine.failed_looks,
            .probes_on_demand = blackbox_.is_on(),
            .modules_reload_ok = modules.reload_ok,
            .modules_reload_ok_timestamp_seconds = modules.reload_ok_timestamp_seconds,
            .unknown_modules = modules.unknown_modules};
}

// A restart that is cut short may leave its service stopped. Docker's patience with us is ten seconds. A
// second signal ends it at once.
asio::awaitable<void> Daemon::let_restarts_end(asio::signal_set& signals)
{
    constexpr auto patience = 8s;
    watcher_->rest();
    const auto running = [&] { return watcher_->figures().actions_running; };
    if (running() == 0)
        co_return;
    log(LogLevel::info, "restarts under way are waited for",
        {{"restarts", std::to_string(running())}, {"at_most", Duration{patience}.text()}});
    bool hurried = false;
    signals.async_wait([&](boost::system::error_code error, int) { hurried = !error; });
    asio::steady_timer timer{loop_};
    for (const auto until = Clock::now() + patience; running() > 0 && !hurried && Clock::now() < until;) {
        timer.expires_after(50ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    if (running() > 0)
        log(LogLevel::warn, "restarts are cut short", {{"restarts", std::to_string(running())}});
}

asio::awaitable<void> Daemon::end_on_signal()
{
    asio::signal_set ends{loop_, SIGTERM, SIGINT};
    ended_by_ = co_await ends.async_wait(asio::use_awaitable);
    log(LogLevel::info, "ending", {{"signal", ended_by_ == SIGTERM ? "SIGTERM" : "SIGINT"}});
    notify_service_manager("STOPPING=1");
    server_->stop();
    page_.stop();
    co_await let_restarts_end(ends);
    watcher_->stop();
    remember();
    loop_.stop();
}

int Daemon::run()
{
    ::mallopt(M_ARENA_MAX, 1);
    start_log(level_of(options_.log_level),
              options_.log_format == "json" ? LogFormat::json : LogFormat::logfmt);
    raise_descriptor_limit();
    log(LogLevel::info, "keepwell starts",
        {{"version", std::string{version}}, {"config", options_.config_file}});
    auto config = load();
    if (!config) {
        stop_log();
        return exit_usage;
    }
    config_ = *std::move(config);
    if (!options_.web_config_file.empty())
        if (const auto opened = door_->open(options_.web_config_file); !opened) {
            log(LogLevel::error, "web configuration error", {{"problems", opened.error()}});
            stop_log();
            return exit_usage;
        }
    if (const auto loaded = load_modules(); !loaded) {
        stop_log();
        return exit_usage;
    }
    auto monitor = make_monitor();
    choose_state_file();
    metrics_.attach(*monitor);
    history_.attach(*monitor);
    page_.attach(*monitor);
    webhooks_.attach(*monitor);
    alerting_.attach(*monitor);
    comparer_.monitor = monitor.get();
    recall(*monitor);
    configure_receivers();
    watcher_.emplace(loop_, std::move(monitor), Watcher::Settings{});
    api_.emplace(
        *watcher_, metrics_, history_, page_, [this] { return reload_all(); },
        [this](const std::string& service) { heartbeats(loop_).beat(service, Clock::now()); },
        [this] { return figures(); });
    api_->add_page("/probe", [this](const ApiRequest& request) { return blackbox_.probe(request); });
    api_->add_page("/logs", [this](const ApiRequest& request) { return blackbox_.logs(request); });
    listen();
    watcher_->change(settings());
    reload_ok_at_ = unix_now();
    watcher_->start();
    follow_containers();
    follow_lease();
    for (auto coroutine :
         {&Daemon::reload_on_hangup, &Daemon::end_on_signal, &Daemon::keep_state, &Daemon::follow_names})
        asio::co_spawn(loop_, (this->*coroutine)(), asio::detached);
    if (const auto interval = Duration::parse(options_.reload_interval).value(); interval > Duration{})
        asio::co_spawn(loop_, reload_on_change(interval.value), asio::detached);
    log(LogLevel::info, "watching",
        {{"services", std::to_string(config_.stack.services.size())},
         {"mode", std::string{name_of(config_.stack.mode)}}});
    notify_service_manager("READY=1");
    loop_.run();
    stop_log();
    return 0;
}

int run_command(const RunOptions& options) { return Daemon{options}.run(); }

}  // namespace keepwell
