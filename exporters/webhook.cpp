#include "exporters/webhook.hpp"

#include "daemon/log.hpp"
#include "daemon/timestamp.hpp"
#include "daemon/version.hpp"
#include "probes/deadline.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <deque>
#include <random>

namespace keepwell {

namespace {

constexpr Clock::duration longest_backoff = 5min;

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

WallTime wall_time(Clock::time_point at)
{
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(at - Clock::now());
}

}  // namespace

// One configured address, its queue, and the coroutine that empties it.
class Webhooks::Receiver : public std::enable_shared_from_this<Receiver> {
public:
    Receiver(asio::io_context& loop, WebhookSettings settings, std::string name,
             std::shared_ptr<DeliveryFigures> figures)
        : loop_{loop}, settings_{std::move(settings)}, name_{std::move(name)}, figures_{std::move(figures)}
    {
        if (const auto url = Url::parse(settings_.url.reveal()))
            origin_ = url->origin();
    }

    const WebhookSettings& settings() const { return settings_; }
    std::size_t queued() const { return queue_.size() + (on_its_way_ ? 1 : 0); }

    // What is told is fixed now, so that a try an hour later tells the same.
    void take(const WebhookEvent& event)
    {
        if (!settings_.wants(event.kind()))
            return;
        if (queued() >= most_queued)
            drop_oldest();
        queue_.push_back(webhook_request(settings_, event));
        if (!running_)
            start();
    }
    void stop()
    {
        stop_.emit(asio::cancellation_type::terminal);
        // What is emitted arrives later, perhaps after the last delivery has ended.
        asio::post(loop_, [self = shared_from_this()] {});
    }

private:
    void start()
    {
        running_ = true;
        asio::co_spawn(
            loop_, deliver_all(shared_from_this()),
            asio::bind_cancellation_slot(
                stop_.slot(), [self = shared_from_this()](std::exception_ptr) { self->running_ = false; }));
    }

    void drop_oldest()
    {
        queue_.pop_front();
        ++figures_->dropped;
        if (!dropping_)
            log(LogLevel::warn, "webhook receiver does not keep up: oldest events are dropped",
                {{"receiver", name_}, {"at", origin_}, {"queued", std::to_string(queue_.size())}});
        dropping_ = true;
    }

    static asio::awaitable<void> deliver_all(std::shared_ptr<Receiver> self)
    {
        while (!self->queue_.empty()) {
            const auto request = std::move(self->queue_.front());
            self->queue_.pop_front();
            self->on_its_way_ = true;
            co_await self->try_all(request);
            self->on_its_way_ = false;
        }
        self->dropping_ = false;
    }

    asio::awaitable<void> try_all(const HttpRequest& request)
    {
        asio::steady_timer timer{loop_};
        Clock::duration backoff = settings_.backoff.value;
        for (int tries = 1;; ++tries) {
            auto signed_now = request;
            sign(signed_now, settings_, std::chrono::system_clock::now());
            const auto tried = co_await deliver(std::move(signed_now), settings_.timeout.value);
            if (tried.error.empty()) {
                ++figures_->delivered;
                co_return;
            }
            if (tried.is_final || tries > settings_.retries) {
                ++figures_->failed;
                log(LogLevel::warn, "webhook not delivered",
                    {{"receiver", name_},
                     {"at", origin_},
                     {"tries", std::to_string(tries)},
                     {"error", tried.error}});
                co_return;
            }
            timer.expires_after(jittered(backoff, random_));
            co_await timer.async_wait(asio::use_awaitable);
            backoff =
                std::min(backoff * 2, std::max(longest_backoff, Clock::duration{settings_.backoff.value}));
        }
    }

    asio::io_context& loop_;
    WebhookSettings settings_;
    std::string name_;
    std::string origin_{};  // the rest of the URL may be a secret
    std::shared_ptr<DeliveryFigures> figures_;
    std::deque<HttpRequest> queue_{};
    asio::cancellation_signal stop_{};
    std::mt19937_64 random_{std::random_device{}()};
    bool running_ = false;
    bool on_its_way_ = false;
    bool dropping_ = false;
};

Webhooks::Webhooks(asio::io_context& loop) : loop_{loop}
{
    std::random_device device;
    run_ = fmt::format("{:016x}", std::uniform_int_distribution<std::uint64_t>{}(device));
}

Webhooks::~Webhooks() { configure({}); }

void Webhooks::attach(const Monitor& monitor)
{
    monitor_ = &monitor;
    actions_.clear();
}

void Webhooks::configure(const std::vector<WebhookSettings>& receivers, const Url& external_url)
{
    external_url_ = external_url;
    std::vector<std::shared_ptr<Receiver>> next;
    for (const auto& settings : receivers) {
        const auto same = std::ranges::find_if(
            receivers_, [&](const auto& each) { return each && each->settings() == settings; });
        next.push_back(same != receivers_.end()
                           ? std::exchange(*same, nullptr)
                           : std::make_shared<Receiver>(loop_, settings,
                                                        name_of_webhook(settings, next.size()), figures_));
    }
    for (const auto& gone : receivers_)
        if (gone)
            gone->stop();
    receivers_ = std::move(next);
}

std::size_t Webhooks::queued() const
{
    std::size_t sum = 0;
    for (const auto& each : receivers_)
        sum += each->queued();
    return sum;
}

namespace {

std::string now_text(WallTime at = std::chrono::system_clock::now()) { return rfc3339(at); }

WebhookEvent begin_event(std::string_view kind, const std::string& project, const std::string& service)
{
    WebhookEvent event{kind};
    event.set("keepwell", std::string{version});
    event.set("time", now_text());
    event.set("project", project);
    event.set("service", service);
    return event;
}

// Whom it is about, what happened, and how much that matters. `text` is also the key that chat servers show
// (Slack, Mattermost, Rocket.Chat).
void add_words(WebhookEvent& event, std::string title, std::string text, std::string_view status,
               std::string_view severity)
{
    event.set("title", std::move(title));
    event.set("text", std::move(text));
    event.set("status", std::string{status});
    event.set("severity", std::string{severity});
    const bool firing = status == "firing";
    event.set("priority", std::int64_t{firing && severity == "critical"  ? 5
                                       : firing && severity == "warning" ? 4
                                                                         : 3});
}

void add_why(WebhookEvent& event, const std::string& cause, const std::string& probe, Reason reason,
             const std::string& detail)
{
    event.set("cause", cause);
    event.set("probe", probe);
    event.set("reason", std::string{to_string(reason)});
    event.set("words", std::string{words(reason)});
    event.set("detail", detail);
}

void add_signal(WebhookEvent& event, const Signal& signal)
{
    add_why(event, signal.cause, signal.probe, signal.reason, signal.detail);
    event.set("since", rfc3339(wall_time(signal.since)));
    event.set("times", std::int64_t{signal.times});
}

// "unhealthy (http: timeout, no answer before the deadline)"
std::string sentence_of(const Signal& signal)
{
    if (signal.probe.empty())
        return signal.cause;
    return fmt::format("{} ({}: {}{}{})", signal.cause, signal.probe, to_string(signal.reason),
                       signal.detail.empty() ? "" : ", ", signal.detail);
}

}  // namespace

WebhookEvent test_event(const std::string& project, const Url& external_url)
{
    auto event = begin_event("test", project, "keepwell");
    event.set("id", "test-" + now_text());
    if (!external_url.empty())
        event.set("url", external_url.whole());
    add_words(event, fmt::format("keepwell of {}: a test", project),
              "This is a test of keepwell's notifications. Whoever reads it is told.", "done", "info");
    return event;
}

WebhookEvent Webhooks::event(std::string_view kind, InstanceId id, Clock::time_point at) const
{
    const auto& stack = monitor_->stack();
    const auto& instance = stack.instances()[id];
    auto event = begin_event(kind, stack.spec().project, stack.services()[instance.service].spec->name);
    event.set("time", now_text(wall_time(at)));
    event.set("instance", instance.spec->name);
    event.set("address", instance.spec->address);
    if (!external_url_.empty())
        event.set("url", link_to(instance.service, external_url_));
    return event;
}

void Webhooks::tell(WebhookEvent event)
{
    event.set("id", fmt::format("{}-{}", run_, next_++));
    for (const auto& each : receivers_)
        each->take(event);
}

void Webhooks::alert_changed(const Alert& alert)
{
    const auto* rule = find_alert_rule(alert.key.rule);
    if (!rule || receivers_.empty())
        return;
    const bool firing = !alert.ended_at;
    auto event = begin_event(firing ? "alert_fired" : "alert_resolved", alert.key.project, alert.key.service);
    event.set("instance", alert.key.container);
    event.set("alert", alert.key.rule);
    event.set("detail", alert.description);
    event.set("since", rfc3339(*alert.fired_at));
    event.set("runbook_url", runbook_url(alert.key.rule));
    if (auto link = link_to(alert, external_url_); !link.empty())
        event.set("url", std::move(link));
    const auto& subject = !alert.key.container.empty() ? alert.key.container
                          : alert.key.service.empty()  ? "keepwell"
                                                       : alert.key.service;
    add_words(
        event,
        fmt::format("{} of {}: {}{}", subject, alert.key.project, firing ? "" : "no longer ", rule->what),
        firing ? alert.description : "It is over: " + alert.description, firing ? "firing" : "resolved",
        rule->severity);
    tell(std::move(event));
}

void Webhooks::signal_raised(InstanceId id, const Signal& signal, Clock::time_point at)
{
    auto raised = event("signal_raised", id, at);
    add_signal(raised, signal);
    add_words(raised, title_of(id, "should be restarted"),
              fmt::format("{}: should be restarted: {}", raised.text("instance"), sentence_of(signal)),
              "firing", "warning");
    tell(std::move(raised));
}

void Webhooks::signal_cleared(InstanceId id, const Signal& signal, Clock::time_point at)
{
    auto cleared = event("signal_cleared", id, at);
    add_signal(cleared, signal);
    // It may be as ill as before, and only nothing more be asked for: in quarantine, or in maintenance.
    const auto* news =
        monitor_->instance(id).alive ? "no restart is needed any more" : "no restart is asked for any more";
    add_words(
        cleared, title_of(id, news),
        fmt::format("{}: {}; it was asked for: {}", cleared.text("instance"), news, sentence_of(signal)),
        "resolved", "info");
    tell(std::move(cleared));
}

void Webhooks::held(InstanceId id, Hold before, Hold after, const std::string& detail, Clock::time_point at)
{
    if (after != Hold::quarantined || before == after)
        return;
    auto quarantined = event("quarantined", id, at);
    if (const auto& signal = monitor_->instance(id).signal)
        add_signal(quarantined, *signal);
    quarantined.set("words", std::string{words(after)});
    quarantined.set("hold_detail", detail);
    add_words(quarantined, title_of(id, "in quarantine"),
              fmt::format("{}: is in quarantine: {}", quarantined.text("instance"), words(after)), "firing",
              "critical");
    tell(std::move(quarantined));
}

void Webhooks::action_started(InstanceId id, const ActionContext& context, Clock::time_point)
{
    actions_[id] = context;
}

void Webhooks::action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point at)
{
    auto finished = event("action_finished", id, at);
    // After a reload an action that was started before it ends without its context.
    if (const auto started = actions_.extract(id)) {
        const auto& context = started.mapped();
        add_why(finished, context.cause, context.probe, context.reason, context.detail);
    }
    finished.set("result", std::string{name_of(outcome.result)});
    finished.set("result_detail", outcome.detail);
    finished.set("output", outcome.output);
    finished.set("seconds", seconds(outcome.took));
    const auto what = fmt::format("restart {}", name_of(outcome.result));
    add_words(finished, title_of(id, what),
              fmt::format("{}: {}: {}", finished.text("instance"), what, outcome.detail), "done",
              outcome.result == ActionResult::ok ? "info" : "warning");
    tell(std::move(finished));
}

std::string Webhooks::title_of(InstanceId id, std::string_view what) const
{
    const auto& stack = monitor_->stack();
    return fmt::format("{} of {}: {}", stack.instances()[id].spec->name, stack.spec().project, what);
}

}  // namespace keepwell
