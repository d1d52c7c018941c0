#include "daemon/main/daemon.hpp"

#include "daemon/log.hpp"
#include "daemon/main/notify.hpp"
#include "daemon/version.hpp"
#include "exporters/command.hpp"
#include "exporters/docker.hpp"
#include "probes/deadline.hpp"
#include "probes/heartbeats.hpp"
#include "probes/resolver.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

namespace keepwell {

namespace {

constexpr auto state_pause = 1s;  // the state file is written this much after a change at the latest
constexpr auto state_retry = 5s;  // after it could not be written
constexpr auto names_pause = 5s;  // between two looks at names that are followed
constexpr auto names_limit = 2s;
constexpr std::string_view none = "none";
constexpr std::string_view default_state_file = "/var/lib/keepwell/state.json";

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

double unix_now()
{
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

asio::awaitable<std::optional<std::vector<std::string>>> look_up(std::string name)
{
    std::vector<std::string> texts;
    try {
        for (const auto& address : co_await resolve(std::move(name)))
            texts.push_back(address.to_string());
    } catch (const std::exception&) {  // its probes tell why
    }
    std::ranges::sort(texts);
    co_return texts;
}

// Sorted; empty when the name does not resolve in time.
asio::awaitable<std::vector<std::string>> addresses_of(std::string name)
{
    auto found = co_await within(Clock::now() + names_limit, look_up(std::move(name)));
    co_return found.has_value() && found->has_value() ? std::move(**found) : std::vector<std::string>{};
}

asio::awaitable<ActionOutcome> not_done(std::string why)
{
    co_return ActionOutcome{.result = ActionResult::not_started, .detail = std::move(why)};
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

// Somebody else acts.
void hold_back(StackSpec& stack)
{
    const auto less = [](Mode mode) { return mode == Mode::act ? Mode::signal : mode; };
    stack.mode = less(stack.mode);
    for (auto& service : stack.services)
        if (service.restart.mode)
            service.restart.mode = less(*service.restart.mode);
}

LogLevel level_of(std::string_view name)
{
    return name == "debug"   ? LogLevel::debug
           : name == "warn"  ? LogLevel::warn
           : name == "error" ? LogLevel::error
                             : LogLevel::info;
}

}  // namespace

Daemon::Daemon(RunOptions options) : options_{std::move(options)}
{
    if (options_.listen.empty())
        options_.listen = {":5337"};
}

std::optional<std::string> Daemon::content() const
{
    std::ifstream file{options_.config_file, std::ios::binary};
    if (!file)
        return {};
    std::ostringstream text;
    text << file.rdbuf();  // nothing of a directory: loading it says so
    return text.str();
}

// Reads the configuration; its problems are logged, and an error of it becomes words.
std::expected<Config, std::string> Daemon::load()
{
    loaded_content_ = content().value_or("");
    auto loaded =
        load_config(options_.config_file, environment, containers_ ? containers_->found() : nullptr);
    tell_problems(loaded.problems);
    if (!loaded.ok()) {
        std::erase_if(loaded.problems, [](const auto& each) { return each.severity != Severity::error; });
        return std::unexpected(render(loaded.problems));
    }
    if (stands_by(loaded.config))
        hold_back(loaded.config.stack);
    return std::move(loaded.config);
}

// Another keepwell acts, or may do so.
bool Daemon::stands_by(const Config& config) const
{
    if (config.lease)
        return !lease_ || !(lease_->settings() == *config.lease) || !lease_->acts();
    return containers_ && containers_->stands_by();
}

// Each once, as long as it lasts: containers come and go, and each time the file is read again.
void Daemon::tell_problems(const std::vector<Problem>& problems)
{
    std::set<std::string> now;
    warnings_ = 0;
    for (const auto& problem : problems) {
        const bool error = problem.severity == Severity::error;
        warnings_ += error ? 0 : 1;
        const auto text = to_string(problem);
        if (error || !told_.contains(text))
            log(error ? LogLevel::error : LogLevel::warn,
                error ? "configuration error" : "configuration warning", {{"problem", text}});
        now.insert(text);
    }
    told_ = std::move(now);
}

std::unique_ptr<Monitor> Daemon::make_monitor()
{
    return std::make_unique<Monitor>(
        Stack{expanded(config_.stack, addresses_)},
        std::vector<Sink*>{&metrics_, &history_, &page_, &keeper_, &webhooks_, &comparer_}, Clock::now(),
        std::random_device{}());
}

Watcher::Settings Daemon::settings()
{
    auto check = config_.self_check ? config_.self_check->spec : nullptr;
    if (!check && server_ && server_->loopback_port())
        check = std::make_shared<const ProbeSpec>(
            TcpSpec{.address = {.host = "127.0.0.1", .port = server_->loopback_port()}});
    return {.self_check = check,
            .act = [this, engine = Engine{config_.docker.value_or(DockerSettings{})}](RestartAction action,
                                                                                      ActionContext context) {
                if (stands_by(config_))
                    return not_done("another keepwell may act by now");
                if (is_disputed(context))
                    return not_done(
                        "it was never well from here, and Docker does not call it unhealthy: what its health "
                        "check asks "
                        "may not be open to others (listens on 127.0.0.1?)");
                if (containers_)
                    context.life = containers_->life_of(context.container);
                return carry_out(engine, std::move(action), std::move(context));
            }};
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

std::expected<void, std::string> Daemon::reload()
{
    auto config = load();
    reload_ok_ = config.has_value();
    if (!config) {
        log(LogLevel::error, "reload failed; the configuration stays as it was",
            {{"file", options_.config_file}});
        return std::unexpected(config.error());
    }
    config_ = *std::move(config);
    follow_containers();
    follow_lease();
    take_over(make_monitor());
    webhooks_.configure(config_.webhooks);
    reload_ok_at_ = unix_now();
    log(LogLevel::info, "configuration reloaded",
        {{"file", options_.config_file}, {"services", std::to_string(config_.stack.services.size())}});
    return {};
}

void Daemon::follow_containers()
{
    if (!config_.docker)
        containers_.reset();
    else if (!containers_ || !(containers_->settings() == *config_.docker))
        containers_.emplace(loop_, *config_.docker, [this] { refresh("containers changed"); });
}

void Daemon::follow_lease()
{
    if (!config_.lease)
        lease_.reset();
    else if (!lease_ || !(lease_->settings() == *config_.lease))
        lease_.emplace(loop_, *config_.lease, [this] { refresh("who acts has changed"); });
}

// The same configuration with other containers, or with another who acts.
void Daemon::refresh(std::string_view why)
{
    if (const auto now = content(); now && *now != loaded_content_) {
        asio::post(loop_, [this] { (void)reload(); });  // which may end whoever called this
        return;
    }
    auto config = load();
    if (!config) {
        log(LogLevel::error, "what runs in containers does not go with the configuration; nothing changes");
        return;
    }
    config_ = *std::move(config);
    take_over(make_monitor());
    log(LogLevel::info, why, {{"services", std::to_string(config_.stack.services.size())}});
}

// What outlived keepwell's restart. Of services in containers once they are known.
void Daemon::recall(Monitor& monitor)
{
    if (recalled_ || options_.state_file == none)
        return;
    recalled_ = !config_.docker || (containers_ && containers_->found());
    if (const auto warning =
            recall_file(options_.state_file, monitor, Clock::now(), std::chrono::system_clock::now()))
        log(LogLevel::warn, *warning, {{"file", options_.state_file}});
}

// A monitor of a changed stack goes on where the one before was.
void Daemon::take_over(std::unique_ptr<Monitor> monitor)
{
    monitor->adopt(watcher_->monitor(), Clock::now());
    const auto& fresh = *monitor;
    watcher_->replace(std::move(monitor), settings());
    metrics_.attach(fresh);
    history_.attach(fresh);
    page_.attach(fresh);
    webhooks_.attach(fresh);
    comparer_.monitor = &fresh;
    recall(watcher_->monitor());
    if (containers_)
        containers_->tell(watcher_->monitor(), Clock::now());
    watcher_->wake();
    keeper_.dirty = true;
}

void Daemon::listen()
{
    server_.emplace(loop_, *api_);
    for (const auto& address : options_.listen)
        if (address != none)
            server_->listen(address);
    if (options_.socket != none) {
        const auto directory = std::filesystem::path{options_.socket}.parent_path();
        if (::access(directory.c_str(), W_OK) == 0)
            server_->listen_unix(options_.socket);
        else
            log(LogLevel::info, "no unix socket: its directory does not exist or is not ours",
                {{"socket", options_.socket}});
    }
    for (const auto& address : server_->addresses())
        log(LogLevel::info, "listening", {{"address", address}});
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
    const auto text = memory_text(watcher_->monitor(), Clock::now(), std::chrono::system_clock::now());
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

DaemonFigures Daemon::figures()
{
    const auto watcher = watcher_->figures();
    const auto webhooks = webhooks_.figures();
    const auto engine = containers_ ? containers_->figures() : docker::DiscoveryFigures{};
    return {.reload_ok = reload_ok_,
            .reload_ok_timestamp_seconds = reload_ok_at_,
            .loop_lateness_seconds = std::chrono::duration<double>(watcher.worst_lateness).count(),
            .late_ticks = watcher.late_ticks,
            .skipped_attempts = watcher.skipped_attempts,
            .attempts_running = watcher.attempts_running,
            .webhooks_delivered = webhooks.delivered,
            .webhooks_failed = webhooks.failed,
            .webhooks_dropped = webhooks.dropped,
            .config_warnings = warnings_,
            .stands_by = stands_by(config_),
            .follows_engine = containers_.has_value(),
            .engine_up = engine.up,
            .engine_events = engine.events,
            .engine_looks = engine.looks,
            .engine_failed_looks = engine.failed_looks};
}

// By content, not by inode or time: editors and bind mounts replace files in ways that notifications miss.
asio::awaitable<void> Daemon::reload_on_change(Clock::duration interval)
{
    asio::steady_timer timer{loop_};
    for (;;) {
        timer.expires_after(interval);
        co_await timer.async_wait(asio::use_awaitable);
        if (const auto now = content(); now && *now != loaded_content_)
            (void)reload();
    }
}

asio::awaitable<void> Daemon::reload_on_hangup()
{
    asio::signal_set hangups{loop_, SIGHUP};
    for (;;) {
        co_await hangups.async_wait(asio::use_awaitable);
        (void)reload();
    }
}

// `instances: all`: looks up the names again and again; a name that does not resolve now keeps the addresses
// it had.
asio::awaitable<void> Daemon::follow_names()
{
    asio::steady_timer timer{loop_};
    for (;;) {
        auto found = addresses_;
        for (const auto& name : names_to_follow(config_.stack)) {
            const auto answer = co_await addresses_of(name);
            if (!answer.empty())
                found[name] = answer;
        }
        if (found != addresses_) {
            addresses_ = std::move(found);
            take_over(make_monitor());
            log(LogLevel::info, "instances changed with the addresses of their names");
        }
        timer.expires_after(names_pause);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<void> Daemon::end_on_signal()
{
    asio::signal_set ends{loop_, SIGTERM, SIGINT};
    ended_by_ = co_await ends.async_wait(asio::use_awaitable);
    log(LogLevel::info, "ending", {{"signal", ended_by_ == SIGTERM ? "SIGTERM" : "SIGINT"}});
    notify_service_manager("STOPPING=1");
    server_->stop();
    page_.stop();
    watcher_->stop();
    remember();
    loop_.stop();
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

int Daemon::run()
{
    ::mallopt(M_ARENA_MAX, 1);
    start_log(level_of(options_.log_level),
              options_.log_format == "json" ? LogFormat::json : LogFormat::logfmt);
    raise_descriptor_limit();
    log(LogLevel::info, "keepwell starts",
        {{"version", std::string{version}}, {"config", options_.config_file}});
    const auto interval = Duration::parse(options_.reload_interval);
    if (!interval)
        throw std::runtime_error{"--config.auto-reload-interval: " + interval.error()};
    auto config = load();
    if (!config) {
        stop_log();
        return exit_usage;
    }
    config_ = *std::move(config);
    auto monitor = make_monitor();
    choose_state_file();
    metrics_.attach(*monitor);
    history_.attach(*monitor);
    page_.attach(*monitor);
    webhooks_.attach(*monitor);
    comparer_.monitor = monitor.get();
    recall(*monitor);
    webhooks_.configure(config_.webhooks);
    watcher_.emplace(loop_, std::move(monitor), Watcher::Settings{});
    api_.emplace(
        *watcher_, metrics_, history_, page_, [this] { return reload(); },
        [this](const std::string& service) { heartbeats(loop_).beat(service, Clock::now()); },
        [this] { return figures(); });
    listen();
    watcher_->change(settings());
    reload_ok_at_ = unix_now();
    watcher_->start();
    follow_containers();
    follow_lease();
    for (auto coroutine :
         {&Daemon::reload_on_hangup, &Daemon::end_on_signal, &Daemon::keep_state, &Daemon::follow_names})
        asio::co_spawn(loop_, (this->*coroutine)(), asio::detached);
    if (*interval > Duration{})
        asio::co_spawn(loop_, reload_on_change(interval->value), asio::detached);
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
