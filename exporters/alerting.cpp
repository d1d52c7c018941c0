#include "exporters/alerting.hpp"

#include "daemon/log.hpp"
#include "daemon/schedule.hpp"

#include <algorithm>

namespace keepwell {

namespace {

constexpr Clock::duration pause = 100ms;  // between two looks at the least

void log_alert(const Alert& alert)
{
    log(alert.ended_at ? LogLevel::info : LogLevel::warn, alert.ended_at ? "alert has ended" : "alert fires",
        {{"alert", alert.key.rule},
         {"service", alert.key.service},
         {"instance", alert.key.container},
         {"description", alert.description}});
}

}  // namespace

Alerting::Alerting(asio::io_context& loop, std::function<void(const Alert&)> changed)
    : changed_{std::move(changed)}, loop_{loop}, timer_{loop}
{
}

Alerting::~Alerting()
{
    for (const auto& each : alertmanagers_)
        each->stop();
}

void Alerting::attach(const Monitor& monitor)
{
    monitor_ = &monitor;
    look_soon();
}

void Alerting::configure(const AlertTimes& after, const std::optional<AlertmanagerSettings>& alertmanager,
                         const Url& external_url)
{
    alerts_->configure(after);
    std::vector<std::shared_ptr<Alertmanager>> next;
    const auto settings = alertmanager.value_or(AlertmanagerSettings{});
    for (const auto& member : settings.url) {
        Alertmanager::Task task{settings, member, external_url};
        task.settings.url.clear();  // the others are not its business
        const auto same = std::ranges::find_if(
            alertmanagers_, [&](const auto& each) { return each && each->task() == task; });
        if (same != alertmanagers_.end()) {
            next.push_back(std::exchange(*same, nullptr));
            continue;
        }
        next.push_back(std::make_shared<Alertmanager>(loop_, std::move(task), alerts_, figures_));
        next.back()->start();
    }
    for (const auto& gone : alertmanagers_)
        if (gone)
            gone->stop();
    alertmanagers_ = std::move(next);
    look_soon();
}

void Alerting::look_soon() { look_at(std::max(Clock::now(), later(last_look_, pause))); }

void Alerting::look_at(Clock::time_point at)
{
    if (at >= next_look_)
        return;
    next_look_ = at;
    timer_.expires_at(at);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error)
            look();
    });
}

void Alerting::look()
{
    last_look_ = Clock::now();
    next_look_ = Clock::time_point::max();
    const auto news = alerts_->look(*monitor_, last_look_, std::chrono::system_clock::now());
    look_at(alerts_->wake_at());
    if (alerts_->full() && !std::exchange(was_full_, alerts_->full()))
        log(LogLevel::warn, "there are too many alerts at once: what comes now is not told",
            {{"alerts", std::to_string(alerts_->all().size())}});
    was_full_ = alerts_->full();
    if (news.empty())
        return;
    for (const auto& alert : news) {
        log_alert(alert);
        changed_(alert);
    }
    for (const auto& each : alertmanagers_)
        each->poke();
}

}  // namespace keepwell
