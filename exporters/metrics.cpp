#include "exporters/metrics.hpp"

#include "daemon/version.hpp"
#include "exporters/exposition.hpp"

#include <algorithm>
#include <span>

namespace keepwell {

namespace {

constexpr std::size_t slice_bytes = 128 << 10;

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

// Steady time as the wall clock has it now; Prometheus wants Unix seconds.
double unix_seconds(Clock::time_point at)
{
    const auto wall = std::chrono::system_clock::now() +
                      std::chrono::duration_cast<std::chrono::system_clock::duration>(at - Clock::now());
    return std::chrono::duration<double>(wall.time_since_epoch()).count();
}

template <class E, class F>
void each_of(F use)
{
    for (const auto& [value, name] : enum_names(E{}))
        use(value, name);
}

template <class E>
const auto& name_labels(std::string_view key)
{
    static const auto labels = [&] {
        std::vector<std::string> texts;
        each_of<E>([&](E, std::string_view name) { texts.push_back(label(key, name)); });
        return texts;
    }();
    return labels;
}

const std::string& reason_label(Reason reason)
{
    static const auto labels = [] {
        std::vector<std::string> texts;
        for (const auto& each : reasons())
            texts.push_back(label("reason", each.name));
        return texts;
    }();
    return labels[static_cast<std::size_t>(reason)];
}

const std::string& bucket_label(std::size_t i)
{
    static const auto labels = [] {
        std::vector<std::string> texts;
        for (const double bound : Metrics::duration_buckets) {
            // As OpenMetrics wants it, and in both formats: a scraper that changes from one to the other goes
            // on with the same series.
            char text[32];
            std::string number{text,
                               std::to_chars(text, text + sizeof text, bound, std::chars_format::fixed).ptr};
            texts.push_back(label("le", number.contains('.') ? number : number + ".0"));
        }
        texts.push_back(label("le", "+Inf"));
        return texts;
    }();
    return labels[i];
}

template <class Count>
std::map<std::string, Count> by_label(const std::vector<std::string>& labels, std::vector<Count>& counts)
{
    std::map<std::string, Count> found;
    for (std::size_t i = 0; i < labels.size(); ++i)
        found.emplace(labels[i], std::move(counts[i]));
    return found;
}

// One for each label: what there was before, or zeros.
template <class Count>
std::vector<Count> counts_of(const std::vector<std::string>& labels, std::map<std::string, Count>& before)
{
    std::vector<Count> counts(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i)
        if (const auto found = before.find(labels[i]); found != before.end())
            counts[i] = std::move(found->second);
    return counts;
}

void write_deliveries(Exposition& out, std::string_view name, std::string_view help,
                      const DeliveryFigures& figures)
{
    out.family(name, "counter", help);
    out.sample(label("result", "delivered"), static_cast<double>(figures.delivered));
    out.sample(label("result", "failed"), static_cast<double>(figures.failed));
    out.sample(label("result", "dropped"), static_cast<double>(figures.dropped));
}

}  // namespace

// A family of samples over all services, instances or probes. `write` adds the samples of one of them.
struct Metrics::Family {
    enum class Over { services, instances, probes } over;
    std::string_view name;
    std::string_view type;
    std::string_view help;
    void (*write)(const Metrics&, std::size_t id, Exposition&);
};

std::span<const Metrics::Family> Metrics::families()
{
    using enum Family::Over;
    static constexpr std::array all{
        Family{services, "keepwell_service_state", "gauge",
               "State of a service: 1 for the state it is in, 0 for the others.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   each_of<State>([&](State state, std::string_view) {
                       out.sample({}, m.service_labels_[id],
                                  name_labels<State>("state")[static_cast<std::size_t>(state)],
                                  m.monitor_->service(id).state == state);
                   });
               }},
        Family{services, "keepwell_service_instances", "gauge", "Instances that a service has.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.service_labels_[id],
                              static_cast<double>(m.monitor_->stack().services()[id].instance_count));
               }},
        Family{services, "keepwell_service_root_cause", "gauge",
               "1 for an unhealthy service whose dependencies are all healthy: what to look at first.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   const auto& view = m.monitor_->service(id);
                   out.sample(m.service_labels_[id], view.state == State::unhealthy && !view.root_cause);
               }},
        Family{services, "keepwell_outage_detection_seconds", "summary",
               "From the begin of the first attempt that failed until a service was unhealthy.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   m.write_times(out, id, m.services_[id].detections);
               }},
        Family{services, "keepwell_outage_seconds", "summary",
               "From when a service was unhealthy until it was healthy again; only outages that have ended.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   m.write_times(out, id, m.services_[id].outages);
               }},
        Family{instances, "keepwell_instance_state", "gauge",
               "State of an instance: 1 for the state it is in, 0 for the others.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   each_of<State>([&](State state, std::string_view) {
                       out.sample({}, m.instance_labels_[id],
                                  name_labels<State>("state")[static_cast<std::size_t>(state)],
                                  m.monitor_->instance(id).state == state);
                   });
               }},
        Family{instances, "keepwell_instance_state_changed_timestamp_seconds", "gauge",
               "Since when an instance is in its state.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], unix_seconds(m.monitor_->instance(id).since));
               }},
        Family{instances, "keepwell_instance_state_changes_total", "counter",
               "Changes of an instance's state.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], static_cast<double>(m.instances_[id].transitions));
               }},
        Family{instances, "keepwell_signal_raised", "gauge",
               "1 while a restart of the instance is asked for.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], m.monitor_->instance(id).signal.has_value());
               }},
        Family{instances, "keepwell_signals_total", "counter", "Restart signals that were raised.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], static_cast<double>(m.instances_[id].signals));
               }},
        Family{instances, "keepwell_restart_held", "gauge",
               "1 while an instance that is not alive is not restarted, with the hold that says why.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   const auto hold = m.monitor_->instance(id).hold;
                   if (hold != Hold::none && hold != Hold::healthy)
                       out.sample({}, m.instance_labels_[id],
                                  name_labels<Hold>("hold")[static_cast<std::size_t>(hold)], 1);
               }},
        Family{instances, "keepwell_restart_holds_total", "counter",
               "How often a restart came to be held, by the hold that says why.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   each_of<Hold>([&](Hold hold, std::string_view) {
                       if (const auto count = m.instances_[id].holds[static_cast<std::size_t>(hold)])
                           out.sample({}, m.instance_labels_[id],
                                      name_labels<Hold>("hold")[static_cast<std::size_t>(hold)],
                                      static_cast<double>(count));
                   });
               }},
        Family{instances, "keepwell_quarantined", "gauge",
               "1 while an instance has spent its restart budget and waits for a person.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], m.monitor_->instance(id).record.quarantined);
               }},
        Family{instances, "keepwell_restart_budget_used", "gauge",
               "Restarts of the instance within the window of its budget.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id],
                              static_cast<double>(m.monitor_->instance(id).record.recent.size()));
               }},
        Family{instances, "keepwell_restart_budget", "gauge",
               "Restarts of the instance that are allowed within that window.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   const auto service = m.monitor_->stack().instances()[id].service;
                   out.sample(m.instance_labels_[id],
                              m.monitor_->stack().services()[service].spec->restart.max);
               }},
        Family{instances, "keepwell_actions_total", "counter", "Restart actions by their result.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   each_of<ActionResult>([&](ActionResult result, std::string_view) {
                       out.sample(
                           {}, m.instance_labels_[id],
                           name_labels<ActionResult>("result")[static_cast<std::size_t>(result)],
                           static_cast<double>(m.instances_[id].actions[static_cast<std::size_t>(result)]));
                   });
               }},
        Family{instances, "keepwell_action_seconds_total", "counter", "Time that restart actions took.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.instance_labels_[id], m.instances_[id].action_seconds);
               }},
        Family{probes, "keepwell_probe_success", "gauge",
               "1 when the last attempt was ok, 0 when it failed; absent before the first.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   const auto& last = m.monitor_->probe(id).last;
                   if (last.started != Clock::time_point{} && last.outcome != Outcome::not_attempted)
                       out.sample(m.probe_labels_[id], last.outcome == Outcome::ok);
               }},
        Family{probes, "keepwell_probe_failing_streak", "gauge", "Failures in a row.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   out.sample(m.probe_labels_[id], m.monitor_->probe(id).health.failing_streak);
               }},
        Family{probes, "keepwell_probe_attempts_total", "counter", "Attempts by their outcome.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   static const auto labels = [] {
                       std::vector<std::string> texts;
                       texts.reserve(outcome_count);
                       for (std::size_t i = 0; i < outcome_count; ++i)
                           texts.push_back(label("outcome", to_string(static_cast<Outcome>(i))));
                       return texts;
                   }();
                   for (std::size_t i = 0; i < outcome_count; ++i)
                       out.sample({}, m.probe_labels_[id], labels[i],
                                  static_cast<double>(m.probes_[id].outcomes[i]));
               }},
        Family{probes, "keepwell_probe_failures_total", "counter",
               "Attempts that were not ok, by their reason.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   for (const auto& [reason, count] : m.probes_[id].failures)
                       out.sample({}, m.probe_labels_[id], reason_label(reason), static_cast<double>(count));
               }},
        Family{probes, "keepwell_probe_phase_seconds_total", "counter",
               "Time that attempts spent in each phase.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   static const auto labels = [] {
                       std::vector<std::string> texts;
                       texts.reserve(phase_count);
                       for (std::size_t i = 0; i < phase_count; ++i)
                           texts.push_back(label("phase", to_string(static_cast<Phase>(i))));
                       return texts;
                   }();
                   for (std::size_t i = 1; i < phase_count; ++i)
                       if (m.probes_[id].phase_sums[i] > 0)
                           out.sample({}, m.probe_labels_[id], labels[i], m.probes_[id].phase_sums[i]);
               }},
        Family{probes, "keepwell_probe_duration_seconds", "histogram",
               "Duration of attempts that were answered or timed out.",
               [](const Metrics& m, std::size_t id, Exposition& out) {
                   const auto& count = m.probes_[id];
                   std::uint64_t total = 0;
                   for (std::size_t i = 0; i < count.durations.size(); ++i) {
                       out.sample("_bucket", m.probe_labels_[id], bucket_label(i),
                                  static_cast<double>(total += count.durations[i]));
                       write_example(out, count.examples[i]);
                   }
                   out.sample("_sum", m.probe_labels_[id], {}, count.duration_sum);
                   out.sample("_count", m.probe_labels_[id], {}, static_cast<double>(total));
               }},
    };
    return all;
}

void Metrics::attach(const Monitor& monitor)
{
    auto services_before = by_label(service_labels_, services_);
    auto instances_before = by_label(instance_labels_, instances_);
    auto probes_before = by_label(probe_labels_, probes_);

    monitor_ = &monitor;
    const auto& stack = monitor.stack();
    service_labels_.clear();
    instance_labels_.clear();
    probe_labels_.clear();
    for (const auto& service : stack.services())
        service_labels_.push_back(label("compose_project", service.spec->project.empty()
                                                               ? stack.spec().project
                                                               : service.spec->project) +
                                  "," + label("compose_service", service.spec->name));
    for (const auto& instance : stack.instances())
        instance_labels_.push_back(service_labels_[instance.service] + "," +
                                   label("container", instance.spec->name));
    for (const auto& probe : stack.probes())
        probe_labels_.push_back(instance_labels_[probe.instance] + "," + label("probe", probe.spec->name) +
                                "," + label("kind", kind_of(*probe.spec->spec)));

    services_ = counts_of(service_labels_, services_before);
    instances_ = counts_of(instance_labels_, instances_before);
    probes_ = counts_of(probe_labels_, probes_before);
}

void Metrics::attempted(ProbeId id, const ProbeResult& result, const Health&)
{
    auto& count = probes_[id];
    ++count.outcomes[static_cast<std::size_t>(result.outcome)];
    for (std::size_t i = 0; i < phase_count; ++i)
        count.phase_sums[i] += seconds(result.phase_took[i]);
    if (result.outcome != Outcome::not_attempted) {
        const auto took = seconds(result.took);
        const auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(duration_buckets, took) -
                                                     duration_buckets.begin());
        ++count.durations[bucket];
        count.examples[bucket] = {.at = std::chrono::system_clock::now(),
                                  .seconds = static_cast<float>(took),
                                  .outcome = result.outcome,
                                  .reason = result.reason,
                                  .phase = result.phase};
        count.duration_sum += took;
    }
    if (result.outcome == Outcome::ok) {
        count.failing_since.reset();
        return;
    }
    if (result.outcome != Outcome::not_attempted && !count.failing_since)
        count.failing_since = result.started;
    for (auto& [reason, failures] : count.failures)
        if (reason == result.reason) {
            ++failures;
            return;
        }
    count.failures.emplace_back(result.reason, 1);
}

void Metrics::state_changed(InstanceId id, State, State, Clock::time_point) { ++instances_[id].transitions; }

// An outage is over when the service is healthy again; what happens in maintenance is none.
void Metrics::service_changed(ServiceId id, State, State after, Clock::time_point now)
{
    auto& count = services_[id];
    if (after == State::unhealthy && !count.unhealthy_since) {
        count.unhealthy_since = now;
        ++count.detections.count;
        count.detections.seconds += seconds(now - first_failure(id).value_or(now));
    }
    if (after == State::healthy && count.unhealthy_since) {
        ++count.outages.count;
        count.outages.seconds += seconds(now - *count.unhealthy_since);
    }
    if (after == State::healthy || after == State::maintenance)
        count.unhealthy_since.reset();
}

std::optional<Clock::time_point> Metrics::first_failure(ServiceId id) const
{
    std::optional<Clock::time_point> first;
    const auto& stack = monitor_->stack();
    const auto& row = stack.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        const auto& instance = stack.instances()[each];
        for (auto probe = instance.first_probe; probe < instance.first_probe + instance.probe_count; ++probe)
            if (const auto since = probes_[probe].failing_since;
                since && stack.probes()[probe].spec->role != Role::gate && (!first || *since < *first))
                first = since;
    }
    return first;
}

void Metrics::write_example(Exposition& out, const Example& example)
{
    if (!out.takes_exemplars() || example.at == std::chrono::system_clock::time_point{})
        return;
    auto labels = label("outcome", to_string(example.outcome));
    if (example.reason != Reason::none)
        labels += "," + reason_label(example.reason) + "," + label("phase", to_string(example.phase));
    out.exemplar(labels, static_cast<double>(example.seconds),
                 std::chrono::duration<double>(example.at.time_since_epoch()).count());
}

void Metrics::write_times(Exposition& out, ServiceId id, const Times& times) const
{
    out.sample("_sum", service_labels_[id], {}, times.seconds);
    out.sample("_count", service_labels_[id], {}, static_cast<double>(times.count));
}

void Metrics::signal_raised(InstanceId id, const Signal&, Clock::time_point) { ++instances_[id].signals; }

void Metrics::held(InstanceId id, Hold, Hold after, const std::string&, Clock::time_point)
{
    if (after != Hold::none && after != Hold::healthy)
        ++instances_[id].holds[static_cast<std::size_t>(after)];
}

void Metrics::action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point)
{
    ++instances_[id].actions[static_cast<std::size_t>(outcome.result)];
    instances_[id].action_seconds += seconds(outcome.took);
}

std::size_t Metrics::row_count(const Family& family) const
{
    switch (family.over) {
        case Family::Over::services: return service_labels_.size();
        case Family::Over::instances: return instance_labels_.size();
        case Family::Over::probes: return probe_labels_.size();
    }
    return 0;
}

// Sorted. There are a dozen names and tens of thousands of facts: most are those of the probe before.
std::vector<std::string_view> Metrics::fact_names() const
{
    std::vector<std::string_view> names;
    std::span<const Fact> before;
    for (ProbeId id = 0; id < probes_.size(); ++id) {
        const std::span<const Fact> facts = monitor_->probe(id).last.facts;
        if (!std::ranges::equal(facts, before, {}, &Fact::name, &Fact::name))
            for (const auto& fact : facts)
                if (std::ranges::find(names, fact.name) == names.end())
                    names.push_back(fact.name);
        before = facts;
    }
    std::ranges::sort(names);
    return names;
}

// Numbers that probes met on their way: one family per name, whatever kinds note it. True: more to come.
bool Metrics::write_fact(std::string& out, Cursor& cursor, std::string_view name, std::size_t limit) const
{
    Exposition exposition{out, cursor.format};
    const auto family = "keepwell_probe_" + std::string{name};
    if (cursor.row == 0)
        exposition.family(family, "gauge",
                          "What the last attempt found; see the reference of the probe's kind.");
    else
        exposition.resume(family);
    for (; cursor.row < probe_labels_.size(); ++cursor.row) {
        if (out.size() >= limit && cursor.row > 0)
            return true;
        for (const auto& fact : monitor_->probe(cursor.row).last.facts)
            if (fact.name == name) {
                exposition.sample(probe_labels_[cursor.row], fact.value);
                break;
            }
    }
    return false;
}

void Metrics::write_daemon(Exposition& out, const DaemonFigures& figures) const
{
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help, double value) {
        out.family(name, type, help);
        out.sample({}, value);
    };
    out.family("keepwell_build_info", "gauge", "1, labelled with what this keepwell was built from.");
    out.sample(label("version", version) + "," + label("compiler", compiler), 1);
    one("keepwell_config_last_reload_successful", "gauge",
        "Whether the last load of the configuration succeeded.", figures.reload_ok);
    one("keepwell_config_last_reload_success_timestamp_seconds", "gauge",
        "When the configuration was last loaded.", figures.reload_ok_timestamp_seconds);
    one("keepwell_config_warnings", "gauge",
        "Warnings about the configuration; `keepwell check` prints them.",
        static_cast<double>(figures.config_warnings));
    one("keepwell_stands_by", "gauge",
        "1 while another keepwell of the same stack may act, and this one only watches and signals.",
        figures.stands_by);
    if (figures.probes_on_demand) {  // by the names that alerts on blackbox_exporter have
        one("blackbox_exporter_config_last_reload_successful", "gauge",
            "Whether the last load of the modules' file succeeded.", figures.modules_reload_ok);
        one("blackbox_exporter_config_last_reload_success_timestamp_seconds", "gauge",
            "When the modules were last loaded.", figures.modules_reload_ok_timestamp_seconds);
        one("blackbox_module_unknown_total", "counter", "Requests that named a module that there is not.",
            static_cast<double>(figures.unknown_modules));
    }
    if (figures.follows_engine) {
        one("keepwell_engine_up", "gauge",
            "Whether the Docker Engine answered the last look at its containers.", figures.engine_up);
        one("keepwell_engine_events_total", "counter", "Events of the Docker Engine that were heard.",
            static_cast<double>(figures.engine_events));
        one("keepwell_engine_looks_total", "counter", "Looks at the Docker Engine's containers.",
            static_cast<double>(figures.engine_looks));
        one("keepwell_engine_failed_looks_total", "counter", "Looks that the Docker Engine did not answer.",
            static_cast<double>(figures.engine_failed_looks));
    }
    one("keepwell_self_doubt", "gauge",
        "1 while keepwell doubts itself: it was frozen, or everything fails at once.", monitor_->in_doubt());
    one("keepwell_loop_lateness_seconds", "gauge",
        "How late the scheduler was at worst since the scrape before.", figures.loop_lateness_seconds);
    one("keepwell_loop_late_ticks_total", "counter", "Ticks of the scheduler that came more than 50 ms late.",
        static_cast<double>(figures.late_ticks));
    one("keepwell_attempts_running", "gauge", "Attempts under way.",
        static_cast<double>(figures.attempts_running));
    one("keepwell_attempts_skipped_total", "counter",
        "Attempts not begun because the one before had not ended.",
        static_cast<double>(figures.skipped_attempts));
    one("keepwell_alerts_firing", "gauge", "Alerts of keepwell's own that fire.",
        static_cast<double>(figures.alerts_firing));
    write_deliveries(out, "keepwell_alertmanager_deliveries_total",
                     "Alerts sent to Alertmanagers by what became of them.", figures.alertmanager);
    write_deliveries(out, "keepwell_webhook_deliveries_total", "Webhook events by what became of them.",
                     figures.webhooks);
    write_process_metrics(out);
}

bool Metrics::write(std::string& out, Cursor& cursor, const DaemonFigures& figures) const
{
    Exposition exposition{out, cursor.format};
    const auto all = families();
    const auto limit = out.size() + slice_bytes;
    for (; cursor.family < all.size(); ++cursor.family, cursor.row = 0) {
        const auto& family = all[cursor.family];
        if (cursor.row == 0)
            exposition.family(family.name, family.type, family.help);
        else
            exposition.resume(family.name);
        for (const auto rows = row_count(family); cursor.row < rows; ++cursor.row) {
            if (out.size() >= limit && cursor.row > 0)
                return true;
            family.write(*this, cursor.row, exposition);
        }
    }
    if (cursor.family == all.size() && cursor.row == 0)
        cursor.facts = fact_names();
    for (; cursor.family < all.size() + cursor.facts.size(); ++cursor.family, cursor.row = 0)
        if (write_fact(out, cursor, cursor.facts[cursor.family - all.size()], limit))
            return true;
    write_daemon(exposition, figures);
    exposition.end();
    return false;
}

std::string Metrics::page(const DaemonFigures& figures, Format format) const
{
    std::string out;
    Cursor cursor{.format = format};
    while (write(out, cursor, figures)) {
    }
    return out;
}

}  // namespace keepwell
