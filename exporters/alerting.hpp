#pragma once

#include "exporters/alertmanager.hpp"

#include <functional>
#include <optional>

namespace keepwell {

// Looks, soon after something has changed, which alerts have begun to fire or have ended, and has everybody
// told.
class Alerting : public Sink {
public:
    // `changed` is called with each alert that has begun to fire or has ended.
    Alerting(asio::io_context& loop, std::function<void(const Alert&)> changed);
    ~Alerting() override;
    Alerting(const Alerting&) = delete;
    Alerting& operator=(const Alerting&) = delete;

    // It must live until the next attach. Alerts of services that are there in both go on.
    void attach(const Monitor& monitor);
    // Who was there before goes on as if nothing had happened.
    void configure(const AlertTimes& after, const std::optional<AlertmanagerSettings>& alertmanager,
                   const Url& external_url);

    Alerts& alerts() { return *alerts_; }
    DeliveryFigures figures() const { return *figures_; }

    void state_changed(InstanceId, State, State, Clock::time_point) override { look_soon(); }
    void service_changed(ServiceId, State, State, Clock::time_point) override { look_soon(); }
    void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override { look_soon(); }
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override { look_soon(); }
    void doubted(bool, const std::string&, Clock::time_point) override { look_soon(); }

private:
    void look_soon();
    void look_at(Clock::time_point at);
    void look();

    std::function<void(const Alert&)> changed_;
    asio::io_context& loop_;
    asio::steady_timer timer_;
    const Monitor* monitor_ = nullptr;
    std::shared_ptr<Alerts> alerts_ = std::make_shared<Alerts>();
    std::shared_ptr<DeliveryFigures> figures_ = std::make_shared<DeliveryFigures>();
    std::vector<std::shared_ptr<Alertmanager>> alertmanagers_{};
    bool was_full_ = false;
    Clock::time_point next_look_ = Clock::time_point::max();
    Clock::time_point last_look_ = Clock::time_point::min();
};

}  // namespace keepwell
