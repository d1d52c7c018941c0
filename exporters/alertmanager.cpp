#include "exporters/alertmanager.hpp"

#include "daemon/log.hpp"

#include <fmt/format.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include <algorithm>

namespace keepwell {

namespace json = boost::json;

namespace {

constexpr std::size_t batch_size = 64;
constexpr int lasts_for = 4;  // resend intervals; Prometheus has the same
constexpr Clock::duration first_backoff = 1s;
constexpr Clock::duration longest_backoff = 30s;

json::object alert_object(const Alert& alert, const AlertmanagerSettings& settings, const Url& external_url,
                          WallTime now)
{
    json::object labels;
    for (const auto& [name, value] : settings.labels)
        if (!value.empty())
            labels[name] = value;
    for (const auto& [name, value] : labels_of(alert.key))
        labels[name] = value;
    const auto* rule = find_alert_rule(alert.key.rule);
    json::object annotations{{"summary", rule ? rule->summary : "A test of keepwell's notifications."},
                             {"description", alert.description}};
    if (rule)
        annotations["runbook_url"] = runbook_url(alert.key.rule);
    const auto ends_at =
        alert.ended_at.value_or(std::max(now, *alert.fired_at) + lasts_for * settings.resend.value);
    json::object object{{"labels", std::move(labels)},
                        {"annotations", std::move(annotations)},
                        {"startsAt", rfc3339(*alert.fired_at)},
                        {"endsAt", rfc3339(std::chrono::time_point_cast<WallTime::duration>(ends_at))}};
    if (const auto link = link_to(alert, external_url); !link.empty())
        object["generatorURL"] = link;
    return object;
}

}  // namespace

std::string alerts_body(std::span<const Alert> alerts, const AlertmanagerSettings& settings,
                        const Url& external_url, WallTime now)
{
    json::array array;
    for (const auto& alert : alerts)
        array.push_back(alert_object(alert, settings, external_url, now));
    return json::serialize(array);
}

HttpRequest alerts_request(const AlertmanagerSettings& settings, const Url& member, std::string body)
{
    auto base = member.whole();
    while (base.ends_with('/'))
        base.pop_back();
    HttpRequest request{.method = "POST",
                        .headers = {{"Content-Type", "application/json"}},
                        .body = std::move(body),
                        .username = settings.username,
                        .password = settings.password,
                        .bearer_token = settings.bearer_token,
                        .tls = settings.tls};
    if (auto url = Url::parse(base + "/api/v2/alerts"))
        request.url = *std::move(url);
    return request;
}

Alertmanager::Alertmanager(asio::io_context& loop, Task task, std::shared_ptr<const Alerts> alerts,
                           std::shared_ptr<DeliveryFigures> figures)
    : task_{std::move(task)},
      alerts_{std::move(alerts)},
      figures_{std::move(figures)},
      loop_{loop},
      timer_{loop}
{
}

void Alertmanager::start()
{
    asio::co_spawn(
        loop_, tell_all(shared_from_this()),
        asio::bind_cancellation_slot(stop_.slot(), [self = shared_from_this()](std::exception_ptr) {}));
}

void Alertmanager::poke()
{
    if (idle_)
        timer_.cancel();
}

void Alertmanager::stop()
{
    stopped_ = true;
    stop_.emit(asio::cancellation_type::terminal);
    asio::post(loop_,
               [self = shared_from_this()] {});  // what is emitted arrives later, perhaps after the end
}

asio::awaitable<void> Alertmanager::tell_all(std::shared_ptr<Alertmanager> self)
{
    while (!self->stopped_) {
        const auto batch = self->due(Clock::now());
        if (batch.empty()) {
            self->idle_ = true;
            co_await self->sleep_until(self->next_due());
            self->idle_ = false;
            continue;
        }
        co_await self->tell(batch);
        if (self->backoff_ > Clock::duration{})
            co_await self->sleep_until(Clock::now() + jittered(self->backoff_, self->random_));
    }
}

asio::awaitable<void> Alertmanager::sleep_until(Clock::time_point at)
{
    timer_.expires_at(at);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> Alertmanager::tell(const std::vector<Alert>& batch)
{
    auto body = alerts_body(batch, task_.settings, task_.external_url, std::chrono::system_clock::now());
    const auto posted = co_await deliver(alerts_request(task_.settings, task_.member, std::move(body)),
                                         task_.settings.timeout.value);
    if (posted.error.empty())
        note_delivered(batch);
    else
        note_failed(batch, posted);
}

bool Alertmanager::is_due(const Alert& alert, const Told& told, Clock::time_point now) const
{
    if (alert.ended_at)
        return !told.ended;
    return alert.fired_at && (!told.firing || told.ended || now - told.at >= task_.settings.resend.value);
}

// News first. What is due and does not fit comes with the next one.
std::vector<Alert> Alertmanager::due(Clock::time_point now)
{
    count_dropped();
    std::vector<Alert> news;
    std::vector<Alert> again;
    for (const auto& [key, alert] : alerts_->all()) {
        if (!alert.fired_at)
            continue;
        const auto& told = told_[key];
        if (is_due(alert, told, now))
            (told.firing && !alert.ended_at && !told.ended ? again : news).push_back(alert);
    }
    news.insert(news.end(), again.begin(), again.end());
    news.resize(std::min(news.size(), batch_size));
    return news;
}

Clock::time_point Alertmanager::next_due() const
{
    auto next = Clock::time_point::max();
    for (const auto& [key, alert] : alerts_->all())
        if (const auto told = told_.find(key); alert.firing() && told != told_.end())
            next = std::min(next, told->second.at + task_.settings.resend.value);
    return next;
}

// What was never told of an end is forgotten by now, or has begun anew.
void Alertmanager::count_dropped()
{
    for (auto each = told_.begin(); each != told_.end();) {
        const auto alert = alerts_->all().find(each->first);
        const bool gone = alert == alerts_->all().end() || !alert->second.fired_at;
        if (gone && !each->second.ended)
            ++figures_->dropped;
        each = gone ? told_.erase(each) : std::next(each);
    }
}

void Alertmanager::note_delivered(const std::vector<Alert>& batch)
{
    for (const auto& alert : batch)
        told_[alert.key] = {.at = Clock::now(), .firing = true, .ended = alert.ended_at.has_value()};
    figures_->delivered += batch.size();
    if (std::exchange(backoff_, Clock::duration{}) > Clock::duration{})
        log(LogLevel::info, "Alertmanager is told of alerts again", {{"receiver", task_.member.origin()}});
}

void Alertmanager::note_failed(const std::vector<Alert>& batch, const Posted& posted)
{
    figures_->failed += batch.size();
    if (backoff_ == Clock::duration{})
        log(LogLevel::warn, "Alertmanager cannot be told of alerts; it is tried again and again",
            {{"receiver", task_.member.origin()}, {"error", posted.error}, {"answer", posted.answer}});
    backoff_ = backoff_ == Clock::duration{} ? first_backoff : std::min(backoff_ * 2, longest_backoff);
    backoff_ = std::min<Clock::duration>(backoff_, task_.settings.resend.value);
}

}  // namespace keepwell
