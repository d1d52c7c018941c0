#include "exporters/page/view.hpp"

namespace keepwell {

namespace {

constexpr std::size_t most_causes = 5;    // shown with all that is known; the rest is counted
constexpr std::size_t most_victims = 12;  // named

void write_victims(Markup& html, const PageView& view, ServiceId cause)
{
    std::size_t count = 0;
    for (ServiceId id = 0; id < view.monitor.stack().services().size(); ++id) {
        if (view.monitor.service(id).root_cause != cause)
            continue;
        if (++count > most_victims)
            continue;
        html << (count == 1 ? Literal{R"(<p class="victims">Unhealthy because of it: )"} : Literal{", "});
        write_service_link(html, view, id);
    }
    if (count > most_victims)
        html << " and " << count - most_victims << " more";
    if (count > 0)
        html << ".</p>";
}

void write_cause(Markup& html, const PageView& view, ServiceId id)
{
    html << R"(<li class="cause"><h3>)";
    write_icon(html, State::unhealthy);
    html << " ";
    write_service_link(html, view, id);
    html << (is_root_cause(view.monitor, id) ? Literal{R"( <span class="tag root">root cause</span>)"}
                                             : Literal{""})
         << R"( <span class="muted">unhealthy for )";
    write_time(html, view, view.monitor.service(id).since);
    html << "</span></h3>";
    if (const auto probe = telling_probe(view.monitor, id))
        write_reason(html, view, *probe);
    write_victims(html, view, id);
    write_treatment(html, view, id);
    html << "</li>";
}

std::string verdict(const Monitor& monitor, const Counts& counts)
{
    const auto probed = counts.all - counts.unprobed;
    if (probed == 0)
        return "Nothing is watched";
    std::size_t unhealthy = 0;
    for (ServiceId id = 0; id < monitor.stack().services().size(); ++id)
        unhealthy += monitor.stack().services()[id].probed && monitor.service(id).state == State::unhealthy;
    if (probed == 1 && unhealthy == 1)
        return "The one service is unhealthy";
    if (unhealthy > 0)
        return std::to_string(unhealthy) + " of " + std::to_string(probed) +
               (unhealthy == 1 ? " services is unhealthy" : " services are unhealthy");
    if (counts.trouble > 0)
        return std::to_string(counts.trouble) + " of " + std::to_string(probed) +
               " services cannot be told healthy yet";
    if (counts.maintenance > 0)
        return "All is well; " + std::to_string(counts.maintenance) + " in maintenance or paused";
    return probed == 1 ? "The one service is healthy"
                       : "All " + std::to_string(probed) + " services are healthy";
}

}  // namespace

Counts counts_of(const Monitor& monitor)
{
    Counts counts;
    for (ServiceId id = 0; id < monitor.stack().services().size(); ++id) {
        const auto group = rank_of(monitor, id).group;
        ++counts.all;
        ++(group == "trouble"       ? counts.trouble
           : group == "maintenance" ? counts.maintenance
           : group == "healthy"     ? counts.healthy
                                    : counts.unprobed);
    }
    return counts;
}

void write_summary(Markup& html, const PageView& view)
{
    const auto& monitor = view.monitor;
    const auto counts = counts_of(monitor);
    auto state = monitor.stack_state();
    if (counts.trouble == 0 && counts.healthy + counts.maintenance > 0)
        state = State::healthy;
    html << R"(<section id="summary" data-state=")" << name_of(state) << R"(" aria-labelledby="verdict">)"
         << R"(<h2 id="verdict">)";
    write_icon(html, state);
    html << " " << verdict(monitor, counts) << "</h2>";
    if (monitor.in_doubt())
        html << R"(<p class="doubt"><strong>keepwell doubts itself</strong> and restarts nothing: <bdi>)"
             << monitor.doubt_reason() << "</bdi></p>";
    std::size_t causes = 0;
    for (ServiceId id = 0; id < monitor.stack().services().size(); ++id) {
        if (!fails_by_itself(monitor, id) || ++causes > most_causes)
            continue;
        if (causes == 1)
            html << R"(<ul class="causes">)";
        write_cause(html, view, id);
    }
    if (causes > 0)
        html << "</ul>";
    if (causes > most_causes)
        html << R"(<p class="muted">and )" << causes - most_causes
             << " more services that fail by themselves</p>";
    html << "</section>";
}

}  // namespace keepwell
