// The metrics of the daemon as a whole.
#include "daemon/version.hpp"
#include "exporters/exposition.hpp"
#include "exporters/metrics.hpp"

namespace keepwell {

namespace {

void write_deliveries(Exposition& out, std::string_view name, std::string_view help,
                      const DeliveryFigures& figures)
{
    out.family(name, "counter", help);
    out.sample(label("result", "delivered"), static_cast<double>(figures.delivered));
    out.sample(label("result", "failed"), static_cast<double>(figures.failed));
    out.sample(label("result", "dropped"), static_cast<double>(figures.dropped));
}

}  // namespace

void Metrics::write_daemon(Exposition& out, const DaemonFigures& figures) const
{
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        out.family(name, type, help);
        out.sample({}, static_cast<double>(value));
    };
    out.family("keepwell_build_info", "gauge", "1, labelled with what this keepwell was built from.");
    out.sample(label("version", version) + "," + label("compiler", compiler), 1);
    one("keepwell_config_last_reload_successful", "gauge",
        "Whether the last load of the configuration succeeded.", figures.reload_ok);
    one("keepwell_config_last_reload_success_timestamp_seconds", "gauge",
        "When the configuration was last loaded.", figures.reload_ok_timestamp_seconds);
    one("keepwell_config_warnings", "gauge",
        "Warnings about the configuration; `keepwell check` prints them.", figures.config_warnings);
    one("keepwell_stands_by", "gauge",
        "1 while another keepwell of the same stack may act, and this one only watches and signals.",
        figures.stands_by);
    if (figures.probes_on_demand) {  // by the names that alerts on blackbox_exporter have
        one("blackbox_exporter_config_last_reload_successful", "gauge",
            "Whether the last load of the modules' file succeeded.", figures.modules_reload_ok);
        one("blackbox_exporter_config_last_reload_success_timestamp_seconds", "gauge",
            "When the modules were last loaded.", figures.modules_reload_ok_timestamp_seconds);
        one("blackbox_module_unknown_total", "counter", "Requests that named a module that there is not.",
            figures.unknown_modules);
    }
    if (figures.follows_engine) {
        one("keepwell_engine_up", "gauge",
            "Whether the Docker Engine answered the last look at its containers.", figures.engine_up);
        one("keepwell_engine_events_total", "counter", "Events of the Docker Engine that were heard.",
            figures.engine_events);
        one("keepwell_engine_looks_total", "counter", "Looks at the Docker Engine's containers.",
            figures.engine_looks);
        one("keepwell_engine_failed_looks_total", "counter", "Looks that the Docker Engine did not answer.",
            figures.engine_failed_looks);
    }
    one("keepwell_self_doubt", "gauge",
        "1 while keepwell doubts itself: it was frozen, or everything fails at once.", monitor_->in_doubt());
    one("keepwell_loop_lateness_seconds", "gauge",
        "How late the scheduler was at worst since the scrape before.", figures.loop_lateness_seconds);
    one("keepwell_loop_late_ticks_total", "counter", "Ticks of the scheduler that came more than 50 ms late.",
        figures.late_ticks);
    one("keepwell_attempts_running", "gauge", "Attempts under way.", figures.attempts_running);
    one("keepwell_attempts_skipped_total", "counter",
        "Attempts not begun because the one before had not ended.", figures.skipped_attempts);
    one("keepwell_alerts_firing", "gauge", "Alerts of keepwell's own that fire.", figures.alerts_firing);
    write_deliveries(out, "keepwell_alertmanager_deliveries_total",
                     "Alerts sent to Alertmanagers by what became of them.", figures.alertmanager);
    write_deliveries(out, "keepwell_webhook_deliveries_total", "Webhook events by what became of them.",
                     figures.webhooks);
    write_process_metrics(out);
}

}  // namespace keepwell
