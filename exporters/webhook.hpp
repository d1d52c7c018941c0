#pragma once

#include "daemon/alert.hpp"
#include "exporters/delivery.hpp"
#include "exporters/webhook_event.hpp"

#include <boost/asio/io_context.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace keepwell {

// A message that tests a receiver.
WebhookEvent test_event(const std::string& project, const Url& external_url);

// Tells receivers over HTTP of alerts, signals and actions: one POST per event, to each receiver in the order
// of events and one at a time. A failed delivery is tried again with doubling waits, as often as its
// `retries` say. A receiver that is down costs a bounded queue and nothing else.
//
// With a secret each POST is signed: `X-Keepwell-Signature: sha256=HEX` is the HMAC-SHA256 of TIMESTAMP, a
// dot and the body, where TIMESTAMP is the value of `X-Keepwell-Timestamp` (seconds since 1970, of this try).
// `X-Keepwell-Delivery` is the same for all tries of an event.
class Webhooks : public Sink {
public:
    explicit Webhooks(asio::io_context& loop);
    ~Webhooks() override;
    Webhooks(const Webhooks&) = delete;
    Webhooks& operator=(const Webhooks&) = delete;

    // Events are named by this monitor's ids from now on. It must live until the next attach.
    void attach(const Monitor& monitor);
    // Receivers that were there before keep their queues.
    void configure(const std::vector<WebhookSettings>& receivers, const Url& external_url = {});
    DeliveryFigures figures() const { return *figures_; }
    std::size_t queued() const;  // events that are waiting or on their way

    void alert_changed(const Alert& alert);  // it fires, or has ended
    void signal_raised(InstanceId, const Signal&, Clock::time_point) override;
    void signal_cleared(InstanceId, const Signal&, Clock::time_point) override;
    void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override;
    void action_started(InstanceId, const ActionContext&, Clock::time_point) override;
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override;

    static constexpr std::size_t most_queued = 128;

private:
    class Receiver;
    WebhookEvent event(std::string_view kind, InstanceId id, Clock::time_point at) const;
    std::string title_of(InstanceId id, std::string_view what) const;
    void tell(WebhookEvent event);

    asio::io_context& loop_;
    const Monitor* monitor_ = nullptr;
    Url external_url_{};
    std::vector<std::shared_ptr<Receiver>> receivers_{};
    std::shared_ptr<DeliveryFigures> figures_ = std::make_shared<DeliveryFigures>();
    std::map<InstanceId, ActionContext> actions_{};  // that are under way
    std::uint64_t next_ = 1;
    std::string run_{};  // tells this run's deliveries from those of another
};

}  // namespace keepwell
