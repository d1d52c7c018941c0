#include "exporters/page/view.hpp"

#include "daemon/timestamp.hpp"

#include <algorithm>

namespace keepwell {

namespace {

bool failed(const ProbeView& view)
{
    return view.last.started != Clock::time_point{} && view.last.outcome != Outcome::ok;
}

}  // namespace

bool fails_by_itself(const Monitor& monitor, ServiceId id)
{
    const auto& view = monitor.service(id);
    return view.state == State::unhealthy && !view.root_cause;
}

bool is_root_cause(const Monitor& monitor, ServiceId id)
{
    return fails_by_itself(monitor, id) && !monitor.stack().services()[id].dependants.empty();
}

Rank rank_of(const Monitor& monitor, ServiceId id)
{
    if (!monitor.stack().services()[id].probed)
        return {7, "unprobed"};
    switch (monitor.service(id).state) {
        case State::unhealthy: return {fails_by_itself(monitor, id) ? 0 : 1, "trouble"};
        case State::starting: return {2, "trouble"};
        case State::unknown: return {3, "trouble"};
        case State::maintenance: return {4, "maintenance"};
        case State::paused: return {5, "maintenance"};
        case State::healthy: break;
    }
    return {6, "healthy"};
}

std::optional<ProbeId> telling_probe(const Monitor& monitor, ServiceId id)
{
    const auto& row = monitor.stack().services()[id];
    std::optional<ProbeId> of_healthy;
    for (InstanceId i = row.first_instance; i < row.first_instance + row.instance_count; ++i) {
        const auto& instance = monitor.stack().instances()[i];
        for (ProbeId p = instance.first_probe; p < instance.first_probe + instance.probe_count; ++p) {
            if (!failed(monitor.probe(p)))
                continue;
            if (monitor.instance(i).state != State::healthy)
                return p;
            if (!of_healthy)
                of_healthy = p;
        }
    }
    return of_healthy;
}

std::string latency_text(const Monitor& monitor, ServiceId id)
{
    const auto& row = monitor.stack().services()[id];
    Clock::duration slowest{-1};
    for (InstanceId i = row.first_instance; i < row.first_instance + row.instance_count; ++i) {
        const auto& instance = monitor.stack().instances()[i];
        for (ProbeId p = instance.first_probe; p < instance.first_probe + instance.probe_count; ++p)
            if (monitor.probe(p).last.started != Clock::time_point{} &&
                monitor.stack().probes()[p].spec->role != Role::gate)
                slowest = std::max(slowest, monitor.probe(p).last.took);
    }
    return slowest < Clock::duration{} ? std::string{} : length_text(slowest);
}

void write_icon(Markup& html, State state)
{
    html << R"(<svg class="icon" aria-hidden="true"><use href="#icon-)" << name_of(state) << R"("/></svg>)";
}

void write_service_link(Markup& html, const PageView& view, ServiceId id)
{
    html << R"(<a href="#service-)" << id << R"("><bdi>)" << view.monitor.stack().services()[id].spec->name
         << "</bdi></a>";
}

void write_time(Markup& html, const PageView& view, Clock::time_point at)
{
    const auto text = rfc3339(view.wall(at));
    html << R"(<time class="age" datetime=")" << text << R"(" title=")" << text << R"(">)"
         << age_text(view.now - at) << "</time>";
}

void write_reason(Markup& html, const PageView& view, ProbeId id)
{
    const auto& probe = *view.monitor.stack().probes()[id].spec;
    const auto& last = view.monitor.probe(id).last;
    html << R"(<p class="why">)" << words(last.reason) << R"(</p><p class="detail"><bdi>)" << probe.name
         << "</bdi>";
    if (!last.detail.empty())
        html << ": <bdi>" << last.detail << "</bdi>";
    html << "</p>";
}

// What counts of several instances: a restart under way, then what keeps the first from it.
void write_treatment(Markup& html, const PageView& view, ServiceId id)
{
    const auto& row = view.monitor.stack().services()[id];
    const InstanceView* asked = nullptr;
    const InstanceView* held = nullptr;
    for (InstanceId i = row.first_instance; i < row.first_instance + row.instance_count; ++i) {
        const auto& instance = view.monitor.instance(i);
        if (instance.hold == Hold::in_flight) {
            html << R"(<p class="treatment">It is being restarted.</p>)";
            return;
        }
        if (!asked && instance.signal)
            asked = &instance;
        if (!held && instance.hold != Hold::none && instance.hold != Hold::healthy &&
            instance.hold != Hold::maintenance)
            held = &instance;
    }
    const bool acts = view.monitor.stack().mode_of(id) == Mode::act;
    if (asked && !acts) {  // a hold is then about asking again
        html << R"(<p class="treatment">A restart is asked for; keepwell itself only signals.</p>)";
    } else if (held) {
        html << R"(<p class="treatment">Not restarted: )" << words(held->hold);
        if (!held->hold_detail.empty())
            html << ": <bdi>" << held->hold_detail << "</bdi>";
        html << "</p>";
    } else if (asked) {
        html << R"(<p class="treatment">A restart is asked for.</p>)";
    }
}

}  // namespace keepwell
