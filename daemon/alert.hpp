#pragma once

#include "daemon/monitor.hpp"
#include "daemon/timestamp.hpp"
#include "probes/url.hpp"

#include <compare>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace keepwell {

// How far the condition of an alert is met.
enum class Standing : std::uint8_t {
    met,      // an alert is pending, and fires when this lasts
    unclear,  // cannot be told just now, as after a restart: pending goes on, and so does firing
    excused,  // not its own fault, or something is being done: pending is forgotten, firing goes on
    over,     // not so: pending is forgotten, firing ends
};

// The key `alert_after` of a configuration: how long a condition lasts until its alert fires.
struct AlertTimes {
    Duration service_unhealthy = 2min;
    Duration service_not_healed = 10min;
    Duration service_unknown = 10min;
    Duration quarantined = 1min;
    Duration gate_failing = 2min;
    Duration self_doubt = 2min;

    static constexpr auto fields()
    {
        using T = AlertTimes;
        return std::tuple{
            optional("KeepwellServiceUnhealthy", &T::service_unhealthy,
                     "a service is unhealthy, and it is the root cause"),
            optional("KeepwellServiceNotHealed", &T::service_not_healed,
                     "it is, and no restart of it has succeeded within a quarter of an hour"),
            optional("KeepwellServiceUnknown", &T::service_unknown, "no probe of a service can be attempted"),
            optional("KeepwellQuarantined", &T::quarantined, "an instance has spent its restart budget"),
            optional("KeepwellGateFailing", &T::gate_failing, "a gate forbids a restart"),
            optional("KeepwellSelfDoubt", &T::self_doubt, "keepwell doubts what it sees"),
        };
    }
    bool operator==(const AlertTimes&) const = default;
};

// What people are to be told of without a Prometheus: name, severity and words are those of the rule of that
// name in dashboards/rules/alerts.yml. Pure.
struct AlertRule {
    enum class About : std::uint8_t { stack, service, instance };

    std::string_view name;
    std::string_view severity;
    About about;
    Duration AlertTimes::* lasts;
    std::string_view what;  // is so, in a few words
    std::string_view summary;
    std::string_view description;  // {project}, {service}, {container} and {why} are filled in
    Standing (*standing)(const Monitor&, std::size_t id, Clock::time_point now);
};
std::span<const AlertRule> alert_rules();
const AlertRule* find_alert_rule(std::string_view name);

// What tells an alert from all others; empty where a rule is not about one.
struct AlertKey {
    std::string rule{};
    std::string project{};
    std::string service{};
    std::string container{};  // the instance
    auto operator<=>(const AlertKey&) const = default;
};

struct Alert {
    AlertKey key{};
    Clock::time_point since{};           // when it began to be pending
    std::optional<WallTime> fired_at{};  // Alertmanager waits for a group from here on, so it is not `since`
    std::optional<WallTime> ended_at{};
    Clock::time_point ended{};    // the same by the steady clock
    std::string description{};    // as it was when it was last known to be met
    ServiceId service = 0;        // of the monitor that was looked at last
    std::uint64_t looked_at = 0;  // number of the look that last found it standing

    bool firing() const { return fired_at && !ended_at; }
};

using AlertLabels = std::vector<std::pair<std::string, std::string>>;
// As the rule of its name has them: alertname, severity, compose_project and so on.
AlertLabels labels_of(const AlertKey& key);
// Its service on the status page; empty without an external_url.
std::string link_to(const Alert& alert, const Url& external_url);
std::string link_to(ServiceId service, const Url& external_url);
// Where people find out what to do.
std::string runbook_url(std::string_view rule);

// All alerts: pending, firing and lately ended. A reload changes nothing about those whose service stays;
// what is alerted on and gone has ended. Pure: the times are passed in, both clocks' for the same moment.
class Alerts {
public:
    void configure(const AlertTimes& after) { after_ = after; }

    // Brings everything up to date; returns what has begun to fire and what has ended.
    std::vector<Alert> look(const Monitor& monitor, Clock::time_point now, WallTime wall);
    // When time alone makes a pending one fire, or an ended one forgotten.
    Clock::time_point wake_at() const { return wake_; }

    const std::map<AlertKey, Alert>& all() const { return alerts_; }
    std::size_t firing() const;
    bool full() const { return alerts_.size() >= most; }  // what comes now is not told

    // It fired when keepwell ended, and goes on until it is known to be over. Unknown rules are ignored.
    void restore(AlertKey key, WallTime fired_at, Clock::time_point now);

    static constexpr std::size_t most = 1000;
    static constexpr Clock::duration remembered = 15min;  // after an end

private:
    Alert* take(AlertKey key, Standing standing, Clock::time_point now);
    bool has_begun(Alert& alert, const AlertRule& rule, Clock::time_point now, WallTime wall);
    void end_others(Clock::time_point now, WallTime wall, std::vector<Alert>& news);

    AlertTimes after_{};
    std::map<AlertKey, Alert> alerts_{};
    Clock::time_point wake_ = Clock::time_point::max();
    std::uint64_t looks_ = 0;
};

}  // namespace keepwell
