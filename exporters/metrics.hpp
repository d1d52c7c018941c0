#pragma once

#include "daemon/monitor.hpp"
#include "exporters/delivery.hpp"
#include "exporters/exposition.hpp"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

// What the daemon as a whole has to say; filled in by whoever asks for the page.
struct DaemonFigures {
    bool reload_ok = true;
    double reload_ok_timestamp_seconds = 0;
    double loop_lateness_seconds = 0;
    std::uint64_t late_ticks = 0;
    std::uint64_t skipped_attempts = 0;
    std::uint64_t attempts_running = 0;
    DeliveryFigures webhooks{};
    DeliveryFigures alertmanager{};
    std::uint64_t alerts_firing = 0;
    std::uint64_t config_warnings = 0;
    bool stands_by = false;       // another keepwell acts
    bool follows_engine = false;  // the rest is meaningless without
    bool engine_up = false;
    std::uint64_t engine_events = 0;
    std::uint64_t engine_looks = 0;
    std::uint64_t engine_failed_looks = 0;
    bool probes_on_demand = false;  // the rest is meaningless without
    bool modules_reload_ok = true;
    double modules_reload_ok_timestamp_seconds = 0;
    std::uint64_t unknown_modules = 0;
};

// Counts what happens, and writes all of it as Prometheus metrics: every metric name and help text of
// keepwell is in metrics_families.cpp and metrics_daemon.cpp. Counters of probes that a reload leaves
// unchanged go on; series of what was removed disappear.
class Metrics : public Sink {
public:
    // Everything is labelled and counted by this monitor's ids from now on. The monitor must live until the
    // next attach.
    void attach(const Monitor& monitor);

    void attempted(ProbeId, const ProbeResult&, const Health&) override;
    void state_changed(InstanceId, State, State, Clock::time_point) override;
    void service_changed(ServiceId, State, State, Clock::time_point) override;
    void signal_raised(InstanceId, const Signal&, Clock::time_point) override;
    void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override;
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override;

    // The page in slices, so that a scrape of a hundred thousand series never holds up the loop: each call
    // writes some hundred kilobytes at most to `out` and returns false when the page is complete. A reload in
    // between makes the rest of the page follow the new configuration.
    struct Cursor {
        Format format = Format::text;
        std::size_t family = 0;
        std::size_t row = 0;
        std::vector<std::string_view> facts{};  // names met by the last attempts; a family each
    };
    bool write(std::string& out, Cursor& cursor, const DaemonFigures& figures) const;
    // The whole page at once, for tests and small stacks.
    std::string page(const DaemonFigures& figures, Format format = Format::text) const;

    static constexpr std::array duration_buckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                 0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};

private:
    // The last attempt that fell into a bucket: why it was slow, or what became of it.
    struct Example {
        std::chrono::system_clock::time_point at{};  // none yet at the epoch
        float seconds = 0;
        Outcome outcome = Outcome::ok;
        Reason reason = Reason::none;
        Phase phase = Phase::prepare;
    };
    struct ProbeCount {
        std::array<std::uint64_t, outcome_count> outcomes{};
        std::array<std::uint32_t, duration_buckets.size() + 1>
            durations{};  // not cumulative; the last is +Inf
        std::array<Example, duration_buckets.size() + 1> examples{};
        double duration_sum = 0;
        std::array<double, phase_count> phase_sums{};
        std::vector<std::pair<Reason, std::uint64_t>> failures{};
        std::optional<Clock::time_point> failing_since{};  // begin of the first failure in a row
    };
    struct InstanceCount {
        std::uint64_t transitions = 0;
        std::uint64_t signals = 0;
        std::array<std::uint64_t, hold_count> holds{};
        std::array<std::uint64_t, enum_names(ActionResult{}).size()> actions{};
        double action_seconds = 0;
    };
    // How long something took, and how often: a summary without quantiles.
    struct Times {
        double seconds = 0;
        std::uint64_t count = 0;
    };
    struct ServiceCount {
        std::optional<Clock::time_point> unhealthy_since{};  // of an outage that has not ended
        Times detections{};
        Times outages{};
    };
    struct Family;
    static std::span<const Family> families();

    void write_daemon(Exposition&, const DaemonFigures&) const;
    std::size_t row_count(const Family&) const;
    static void write_example(Exposition&, const Example&);
    void write_times(Exposition&, ServiceId, const Times&) const;
    std::optional<Clock::time_point> first_failure(ServiceId) const;
    std::vector<std::string_view> fact_names() const;
    bool write_fact(std::string& out, Cursor& cursor, std::string_view name, std::size_t limit) const;

    const Monitor* monitor_ = nullptr;
    std::vector<std::string> service_labels_{};
    std::vector<std::string> instance_labels_{};
    std::vector<std::string> probe_labels_{};
    std::vector<ServiceCount> services_{};
    std::vector<InstanceCount> instances_{};
    std::vector<ProbeCount> probes_{};
};

// The process's own metrics under the names of the Prometheus client libraries (process_cpu_seconds_total,
// ...).
void write_process_metrics(Exposition&);

}  // namespace keepwell
