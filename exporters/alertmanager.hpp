#pragma once

#include "daemon/alert.hpp"
#include "daemon/receiver.hpp"
#include "exporters/delivery.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace keepwell {

// The body of a POST to /api/v2/alerts. A firing alert ends, as far as it says, four times the resend
// interval from now; so it ends by itself when nobody repeats it any more. With an external_url each has a
// link.
std::string alerts_body(std::span<const Alert> alerts, const AlertmanagerSettings& settings,
                        const Url& external_url, WallTime now);
// The POST that tells one member of the cluster.
HttpRequest alerts_request(const AlertmanagerSettings& settings, const Url& member, std::string body);

// Tells one Alertmanager of all alerts: at once of those that have begun to fire or have ended, and again and
// again of those that fire. There is no queue: while it cannot be reached it misses nothing but an alert that
// has both fired and been forgotten meanwhile, which counts as dropped. Whoever is not told is tried again
// with doubling waits.
class Alertmanager : public std::enable_shared_from_this<Alertmanager> {
public:
    struct Task {
        AlertmanagerSettings settings{};
        Url member{};  // of settings.url
        Url external_url{};
        bool operator==(const Task&) const = default;
    };
    Alertmanager(asio::io_context& loop, Task task, std::shared_ptr<const Alerts> alerts,
                 std::shared_ptr<DeliveryFigures> figures);

    const Task& task() const { return task_; }
    void start();
    void poke();  // alerts have begun to fire, or have ended
    void stop();

private:
    // What it was told of an alert last.
    struct Told {
        Clock::time_point at = Clock::time_point::min();
        bool firing = false;
        bool ended = false;
    };
    static asio::awaitable<void> tell_all(std::shared_ptr<Alertmanager> self);
    asio::awaitable<void> tell(const std::vector<Alert>& batch);
    asio::awaitable<void> sleep_until(Clock::time_point at);
    bool is_due(const Alert& alert, const Told& told, Clock::time_point now) const;
    std::vector<Alert> due(Clock::time_point now);
    Clock::time_point next_due() const;
    void note_delivered(const std::vector<Alert>& batch);
    void note_failed(const std::vector<Alert>& batch, const Posted& posted);
    void count_dropped();

    Task task_;
    std::shared_ptr<const Alerts> alerts_;
    std::shared_ptr<DeliveryFigures> figures_;
    asio::io_context& loop_;
    asio::steady_timer timer_;
    asio::cancellation_signal stop_{};
    std::map<AlertKey, Told> told_{};
    std::mt19937_64 random_{std::random_device{}()};
    Clock::duration backoff_{};  // zero: the last one was taken
    bool idle_ = false;
    bool stopped_ = false;
};

}  // namespace keepwell
