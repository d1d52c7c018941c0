#include "exporters/webhook.hpp"

#include "daemon/log.hpp"
#include "daemon/timestamp.hpp"
#include "daemon/version.hpp"
#include "probes/deadline.hpp"
#include "probes/digest.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <deque>
#include <random>

namespace keepwell {

namespace json = boost::json;

namespace {

constexpr Clock::duration longest_backoff = 5min;

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

std::chrono::system_clock::time_point wall_time(Clock::time_point at)
{
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(at - Clock::now());
}

}  // namespace

// What is told; the body is fixed when it happens, so that a try an hour later tells the same.
struct Webhooks::Event {
    std::string kind{};
    std::string delivery{};
    json::object object{};
    std::string body{};
};

// One configured address, its queue, and the coroutine that empties it.
class Webhooks::Receiver : public std::enable_shared_from_this<Receiver> {
public:
    Receiver(asio::io_context& loop, WebhookAction action, std::shared_ptr<DeliveryFigures> figures)
        : loop_{loop}, action_{std::move(action)}, figures_{std::move(figures)}
    {
        if (auto url = Url::parse(action_.url))
            url_ = *url;
    }

    const WebhookAction& action() const { return action_; }
    std::size_t queued() const { return queue_.size() + (on_its_way_ ? 1 : 0); }

    void take(const Event& event)
    {
        if (!action_.events.empty() && std::ranges::find(action_.events, event.kind) == action_.events.end())
            return;
        if (queued() >= most_queued)
            drop_oldest();
        queue_.push_back(event);
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
                {{"receiver", url_.origin()}, {"queued", std::to_string(queue_.size())}});
        dropping_ = true;
    }

    static asio::awaitable<void> deliver_all(std::shared_ptr<Receiver> self)
    {
        while (!self->queue_.empty()) {
            const auto event = std::move(self->queue_.front());
            self->queue_.pop_front();
            self->on_its_way_ = true;
            co_await self->try_all(event);
            self->on_its_way_ = false;
        }
        self->dropping_ = false;
    }

    asio::awaitable<void> try_all(const Event& event)
    {
        asio::steady_timer timer{loop_};
        Clock::duration backoff = action_.backoff.value;
        for (int tries = 1;; ++tries) {
            const auto tried = co_await deliver(request(event), action_.timeout.value);
            if (tried.error.empty()) {
                ++figures_->delivered;
                co_return;
            }
            if (tried.is_final || tries > action_.retries) {
                ++figures_->failed;
                log(LogLevel::warn, "webhook not delivered",
                    {{"receiver", url_.origin()},
                     {"event", event.kind},
                     {"tries", std::to_string(tries)},
                     {"error", tried.error}});
                co_return;
            }
            timer.expires_after(jittered(backoff, random_));
            co_await timer.async_wait(asio::use_awaitable);
            backoff =
                std::min(backoff * 2, std::max(longest_backoff, Clock::duration{action_.backoff.value}));
        }
    }

    HttpRequest request(const Event& event) const
    {
        HttpRequest request{.url = url_, .method = "POST", .body = event.body};
        request.tls.ca_file = action_.ca_file;
        const auto now = std::chrono::system_clock::now();
        const auto timestamp = std::to_string(std::chrono::system_clock::to_time_t(now));
        request.headers = {{"Content-Type", "application/json"},
                           {"X-Keepwell-Event", event.kind},
                           {"X-Keepwell-Delivery", event.delivery},
                           {"X-Keepwell-Timestamp", timestamp}};
        if (!action_.secret.empty())
            request.headers.push_back(
                {"X-Keepwell-Signature",
                 "sha256=" + hmac_sha256(action_.secret.reveal(), timestamp + "." + event.body)});
        for (const auto& [name, value] : action_.headers)
            request.headers.push_back({name, value});
        return request;
    }

    asio::io_context& loop_;
    WebhookAction action_;
    std::shared_ptr<DeliveryFigures> figures_;
    Url url_{};
    std::deque<Event> queue_{};
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

void Webhooks::configure(const std::vector<WebhookAction>& receivers)
{
    std::vector<std::shared_ptr<Receiver>> next;
    for (const auto& action : receivers) {
        const auto same = std::ranges::find_if(
            receivers_, [&](const auto& each) { return each && each->action() == action; });
        next.push_back(same == receivers_.end() ? std::make_shared<Receiver>(loop_, action, figures_)
                                                : std::exchange(*same, nullptr));
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

Webhooks::Event Webhooks::event(std::string_view kind, InstanceId id, Clock::time_point at) const
{
    const auto& stack = monitor_->stack();
    const auto& instance = stack.instances()[id];
    Event event{.kind = std::string{kind}};
    event.object = {{"keepwell", version},
                    {"event", kind},
                    {"time", rfc3339(wall_time(at))},
                    {"project", stack.spec().project},
                    {"service", stack.services()[instance.service].spec->name},
                    {"instance", instance.spec->name},
                    {"address", instance.spec->address}};
    return event;
}

void Webhooks::tell(Event event, const std::string& sentence)
{
    if (receivers_.empty())
        return;
    // The key that chat servers show (Slack, Mattermost, Rocket.Chat).
    const auto instance = std::string_view{event.object["instance"].get_string()};
    event.object["text"] = valid_utf8(fmt::format("{}: {}", instance, sentence));
    event.delivery = fmt::format("{}-{}", run_, next_++);
    event.object["id"] = event.delivery;
    event.body = json::serialize(event.object);
    event.object.clear();
    for (const auto& each : receivers_)
        each->take(event);
}

namespace {

void add_why(json::object& object, const std::string& cause, const std::string& probe, Reason reason,
             const std::string& detail)
{
    object["cause"] = valid_utf8(cause);
    object["probe"] = probe;
    object["reason"] = to_string(reason);
    object["words"] = words(reason);
    object["detail"] = valid_utf8(detail);
}

void add_signal(json::object& object, const Signal& signal)
{
    add_why(object, signal.cause, signal.probe, signal.reason, signal.detail);
    object["since"] = rfc3339(wall_time(signal.since));
    object["times"] = signal.times;
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

void Webhooks::signal_raised(InstanceId id, const Signal& signal, Clock::time_point at)
{
    auto raised = event("signal_raised", id, at);
    add_signal(raised.object, signal);
    tell(std::move(raised), "should be restarted: " + sentence_of(signal));
}

void Webhooks::signal_cleared(InstanceId id, const Signal& signal, Clock::time_point at)
{
    auto cleared = event("signal_cleared", id, at);
    add_signal(cleared.object, signal);
    tell(std::move(cleared), "no restart is needed any more; it was asked for: " + sentence_of(signal));
}

void Webhooks::held(InstanceId id, Hold before, Hold after, const std::string& detail, Clock::time_point at)
{
    if (after != Hold::quarantined || before == after)
        return;
    auto quarantined = event("quarantined", id, at);
    if (const auto& signal = monitor_->instance(id).signal)
        add_signal(quarantined.object, *signal);
    quarantined.object["words"] = words(after);
    quarantined.object["hold_detail"] = valid_utf8(detail);
    tell(std::move(quarantined), fmt::format("is in quarantine: {}", words(after)));
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
        add_why(finished.object, context.cause, context.probe, context.reason, context.detail);
    }
    finished.object["result"] = name_of(outcome.result);
    finished.object["result_detail"] = valid_utf8(outcome.detail);
    finished.object["output"] = valid_utf8(outcome.output);
    finished.object["seconds"] = seconds(outcome.took);
    tell(std::move(finished), fmt::format("restart {}: {}", name_of(outcome.result), outcome.detail));
}

}  // namespace keepwell
