// Every metric of services, instances and probes, and the page in slices.
#include "exporters/exposition.hpp"
#include "exporters/metrics.hpp"

#include <algorithm>
#include <span>

namespace keepwell {

namespace {

constexpr std::size_t slice_bytes = 128 << 10;

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
