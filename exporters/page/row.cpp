#include "exporters/page/view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell {

namespace {

std::string_view minute_class(const TrailMinute& minute)
{
    if (!minute.known)
        return {};
    return minute.worst == State::healthy && minute.failed > 0 ? std::string_view{"wobbly"}
                                                               : name_of(minute.worst);
}

std::string hour_text(const Trails::Hour& hour)
{
    std::array<int, state_count> spent{};
    int known = 0;
    for (const auto& minute : hour)
        if (minute.known) {
            ++spent[static_cast<std::size_t>(minute.worst)];
            ++known;
        }
    std::string text = fmt::format("last {} min:", known);
    for (const auto& [state, name] : enum_names(State{}))
        if (const auto minutes = spent[static_cast<std::size_t>(state)])
            text += fmt::format("{} {} {} min", text.ends_with(':') ? "" : ",", name, minutes);
    return text;
}

// A bar for each minute, three wide with its gap: one path for each run of alike minutes, dashed by the style
// sheet.
void write_strip(Markup& html, const Trails::Hour& hour)
{
    const auto text = hour_text(hour);
    html << R"(<svg class="strip" viewBox="0 0 180 16" role="img"><title>)" << text << "</title>";
    for (std::size_t i = 0; i < hour.size();) {
        const auto kind = minute_class(hour[i]);
        auto end = i + 1;
        while (end < hour.size() && minute_class(hour[end]) == kind)
            ++end;
        if (!kind.empty())
            html << R"(<path class=")" << kind << R"(" d="M)" << i * 3 << " 8h" << (end - i) * 3 - 1
                 << R"("/>)";
        i = end;
    }
    html << "</svg>";
}

// The mean of each minute's good attempts, against the slowest minute.
void write_sparkline(Markup& html, const Trails::Hour& hour)
{
    const auto mean = [](const TrailMinute& minute) {
        return minute.answered ? minute.seconds / static_cast<float>(minute.answered) : 0.F;
    };
    float most = 0;
    for (const auto& minute : hour)
        most = std::max(most, mean(minute));
    html << R"(<svg class="spark" viewBox="0 0 60 18" aria-hidden="true"><path d=")";
    for (std::size_t i = 0; i < hour.size(); ++i) {
        if (hour[i].answered == 0)
            continue;
        const auto y = 16 - static_cast<int>(14 * mean(hour[i]) / most);
        if (i > 0 && hour[i - 1].answered > 0)
            html << "L" << i << " " << y;
        else
            html << "M" << i << " " << y << "h1";
    }
    html << R"("/></svg>)";
}

void write_probe(Markup& html, const PageView& view, ProbeId id)
{
    const auto& spec = *view.monitor.stack().probes()[id].spec;
    const auto& probe = view.monitor.probe(id);
    html << "<li>";
    write_icon(html, probe.health.state);
    html << " <bdi>" << spec.name << R"(</bdi> <span class="muted">)" << name_of(spec.role) << ", every "
         << spec.timing.interval.text();
    if (probe.health.failing_streak > 0)
        html << ", failed " << probe.health.failing_streak << " times in a row (unhealthy at "
             << spec.timing.retries << ")";
    html << "</span>";
    if (probe.last.started != Clock::time_point{} && probe.last.outcome != Outcome::ok) {
        write_reason(html, view, id);
        if (!probe.last.output.empty())
            html << R"(<pre tabindex="0">)" << probe.last.output << "</pre>";
    }
    html << "</li>";
}

// Instances and probes, folded away; the fold's label says what is asked.
void write_details(Markup& html, const PageView& view, ServiceId id)
{
    const auto& stack = view.monitor.stack();
    const auto& row = stack.services()[id];
    const auto last = row.first_instance + row.instance_count;
    html << "<details><summary>";
    if (row.instance_count > 1)
        html << row.instance_count << " × ";
    const auto& first = stack.instances()[row.first_instance];
    for (std::size_t i = 0; i < first.probe_count; ++i) {
        if (i > 0)
            html << ", ";
        html << "<bdi>" << first.spec->probes[i].name << "</bdi>";
    }
    html << "</summary>";
    for (auto i = row.first_instance; i < last; ++i) {
        const auto& instance = stack.instances()[i];
        if (row.instance_count > 1) {
            html << R"(<p class="instance">)";
            write_icon(html, view.monitor.instance(i).state);
            html << " <bdi>" << instance.spec->name << "</bdi> " << name_of(view.monitor.instance(i).state)
                 << "</p>";
        }
        html << R"(<ul class="probes">)";
        for (auto probe = instance.first_probe; probe < instance.first_probe + instance.probe_count; ++probe)
            write_probe(html, view, probe);
        html << "</ul>";
    }
    html << "</details>";
}

void write_name(Markup& html, const PageView& view, ServiceId id)
{
    const auto& row = view.monitor.stack().services()[id];
    const auto& service = view.monitor.service(id);
    html << R"(<th scope="row" role="rowheader" class="name"><bdi>)" << row.spec->name << "</bdi>";
    if (is_root_cause(view.monitor, id)) {
        html << R"( <span class="tag root">root cause</span>)";
    } else if (service.root_cause) {
        html << R"( <span class="because">because of )";
        write_service_link(html, view, *service.root_cause);
        html << "</span>";
    }
    html << "</th>";
}

void write_why(Markup& html, const PageView& view, ServiceId id)
{
    const auto& service = view.monitor.service(id);
    const auto& row = view.monitor.stack().services()[id];
    html << R"(<td role="cell" class="reason">)";
    if (service.maintenance)
        html << R"(<p class="why">in maintenance)"
             << (service.maintenance_note.empty() ? std::string{} : ": " + service.maintenance_note)
             << "</p>";
    if (row.instance_count == 1 && service.state == State::paused &&
        !view.monitor.stack().instances()[row.first_instance].spec->rest.empty())
        html << R"(<p class="why">)" << view.monitor.stack().instances()[row.first_instance].spec->rest
             << "</p>";
    if (const auto probe = telling_probe(view.monitor, id))
        write_reason(html, view, *probe);
    else if (!row.probed)
        html << R"(<p class="why muted">nothing probes it</p>)";
    write_treatment(html, view, id);
    if (row.probed)
        write_details(html, view, id);
    html << "</td>";
}

// Which of the two buttons there is depends on the service; whether one may, on who looks: the style sheet
// hides them from those whom the API would refuse.
void write_buttons(Markup& html, const PageView& view, ServiceId id)
{
    const auto& row = view.monitor.stack().services()[id];
    const auto name = url_segment(row.spec->name);
    bool resumable = view.monitor.service(id).maintenance;
    for (auto i = row.first_instance; i < row.first_instance + row.instance_count; ++i)
        resumable = resumable || view.monitor.instance(i).record.quarantined;
    html << R"(<td role="cell" class="act">)";
    if (!view.monitor.service(id).maintenance)
        html << R"(<form method="post" action="/api/v1/maintenance/)" << name
             << R"("><button class="maintain" aria-label="Maintenance of )" << row.spec->name
             << R"(">Maintenance</button></form>)";
    if (resumable)
        html << R"(<form method="post" action="/api/v1/resume/)" << name
             << R"("><button class="resume" aria-label="Resume )" << row.spec->name
             << R"(">Resume</button></form>)";
    html << "</td>";
}

}  // namespace

void write_row(Markup& html, const PageView& view, ServiceId id)
{
    const auto& service = view.monitor.service(id);
    const auto rank = rank_of(view.monitor, id);
    html << R"(<tr role="row" id="service-)" << id << R"(" data-rank=")" << rank.order << R"(" data-group=")"
         << rank.group << R"(" data-state=")" << name_of(service.state)
         << R"("><td role="cell" class="state">)";
    write_icon(html, service.state);
    html << " " << (rank.order == 7 ? std::string_view{"not probed"} : name_of(service.state)) << "</td>";
    write_name(html, view, id);
    html << R"(<td role="cell" class="since">)";
    write_time(html, view, service.since);
    html << "</td>";
    write_why(html, view, id);
    const bool probed = view.monitor.stack().services()[id].probed;
    const auto hour = probed ? view.trails.of(id, view.now) : Trails::Hour{};
    html << R"(<td role="cell" class="hour">)";
    if (probed)
        write_strip(html, hour);
    html << R"(</td><td role="cell" class="latency"><span id="latency-)" << id << R"(">)"
         << latency_text(view.monitor, id) << "</span>";
    write_sparkline(html, hour);
    html << "</td>";
    write_buttons(html, view, id);
    html << "</tr>";
}

}  // namespace keepwell
