// What is counted; metrics_families.cpp says how it is told.
#include "exporters/metrics.hpp"

#include "exporters/exposition.hpp"

#include <algorithm>
#include <map>

namespace keepwell {

namespace {

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

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

}  // namespace

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

}  // namespace keepwell
