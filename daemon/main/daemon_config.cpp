// What the daemon reads and follows: the configuration, containers, the lease, names; and how a changed one
// is taken over.
#include "daemon/main/daemon.hpp"

#include "daemon/log.hpp"
#include "probes/deadline.hpp"
#include "probes/resolver.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fstream>
#include <random>
#include <sstream>

namespace keepwell {

namespace {

constexpr auto names_pause = 5s;  // between two looks at names that are followed
constexpr auto names_limit = 2s;

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

// Somebody else acts.
void hold_back(StackSpec& stack)
{
    const auto less = [](Mode mode) { return mode == Mode::act ? Mode::signal : mode; };
    stack.mode = less(stack.mode);
    for (auto& service : stack.services)
        if (service.restart.mode)
            service.restart.mode = less(*service.restart.mode);
}

}  // namespace

double Daemon::unix_now()
{
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
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
        std::vector<Sink*>{&metrics_, &history_, &page_, &keeper_, &webhooks_, &alerting_, &comparer_},
        Clock::now(), std::random_device{}());
}

// A file that was emptied, or is being written: nobody wants that of a keepwell that runs.
std::string Daemon::empties(const Config& config) const
{
    if (!config.stack.services.empty() || config.docker || config_.stack.services.empty())
        return {};
    return options_.config_file + " has no service any more; to watch nothing, end keepwell";
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
    if (const auto why = empties(*config); !why.empty()) {
        reload_ok_ = false;
        log(LogLevel::error, "reload failed; the configuration stays as it was",
            {{"file", options_.config_file}, {"problem", why}});
        return std::unexpected(why);
    }
    config_ = *std::move(config);
    follow_containers();
    follow_lease();
    take_over(make_monitor());
    configure_receivers();
    reload_ok_at_ = unix_now();
    log(LogLevel::info, "configuration reloaded",
        {{"file", options_.config_file}, {"services", std::to_string(config_.stack.services.size())}});
    return {};
}

// The modules of /probe, if it is on; those before stay when these are bad.
std::expected<void, std::string> Daemon::load_modules()
{
    auto loaded = blackbox_.load();
    if (!loaded)
        log(LogLevel::error, "the modules of /probe cannot be used",
            {{"file", blackbox_.file()}, {"problem", loaded.error()}});
    return loaded;
}

// All files, each for itself: one that is bad keeps the others from nothing, and only what it says stays as
// it was.
std::expected<void, std::string> Daemon::reload_all()
{
    std::string faults;
    const auto note = [&](const char* what, const std::expected<void, std::string>& done) {
        if (!done)
            faults += fmt::format("{} stays as it was:\n{}\n", what, done.error());
    };
    note("the configuration", reload());
    note("the web configuration", door_->reload());
    note("the file of modules", load_modules());
    return faults.empty() ? std::expected<void, std::string>{} : std::unexpected(faults);
}

void Daemon::configure_receivers()
{
    webhooks_.configure(config_.webhooks, config_.external_url);
    alerting_.configure(config_.alert_after, config_.alertmanager, config_.external_url);
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
    alerting_.attach(fresh);
    comparer_.monitor = &fresh;
    recall(watcher_->monitor());
    if (containers_)
        containers_->tell(watcher_->monitor(), Clock::now());
    watcher_->wake();
    keeper_.dirty = true;
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
        if (blackbox_.has_changed())
            (void)load_modules();
    }
}

asio::awaitable<void> Daemon::reload_on_hangup()
{
    asio::signal_set hangups{loop_, SIGHUP};
    for (;;) {
        co_await hangups.async_wait(asio::use_awaitable);
        (void)reload_all();
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

}  // namespace keepwell
