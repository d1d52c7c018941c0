#include "daemon/config.hpp"
#include "daemon/kinds.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

std::string text_of_probe(const Probe& probe)
{
    return fmt::format("{} ({}): {} every {}\n", probe.name, name_of(probe.role),
                       probe.spec ? text_of(*probe.spec) : "nothing", text_of(probe.timing));
}

std::string text_of_edge(const Edge& edge)
{
    return fmt::format("  depends on {} ({}){}\n", edge.service, name_of(edge.condition),
                       edge.restart ? ", restart" : "");
}

std::string text_of_service(const Service& service)
{
    auto text = fmt::format("service {}", service.name);
    if (service.min_healthy != 1)
        text += fmt::format(", min_healthy {}", service.min_healthy);
    if (service.all_addresses)
        text += ", all addresses";
    if (service.restart != RestartPolicy{})
        text += ", restart " + text_of(service.restart);
    text += '\n';
    for (const auto& edge : service.depends_on)
        text += text_of_edge(edge);
    for (const auto& instance : service.instances) {
        text += fmt::format("  instance {}{}{}\n", instance.name, instance.address.empty() ? "" : " at ",
                            instance.address);
        for (const auto& probe : instance.probes)
            text += "    " + text_of_probe(probe);
    }
    return text;
}

}  // namespace

std::string text_of(const Config& config)
{
    auto text = fmt::format("project {}, mode {}, max_restarts_at_once {}\n", config.stack.project,
                            name_of(config.stack.mode), config.stack.max_restarts_at_once);
    if (!config.state_path.empty())
        text += "state in " + config.state_path + '\n';
    if (config.self_check)
        text += "self check " + text_of_probe(*config.self_check);
    if (!config.external_url.empty())
        text += "reached at " + config.external_url.text() + '\n';
    if (config.alert_after != AlertTimes{})
        text += "alert after " + text_of(config.alert_after) + '\n';
    if (config.alertmanager)
        text += "alertmanager " + text_of(*config.alertmanager) + '\n';
    for (const auto& webhook : config.webhooks)
        text += "webhook " + text_of(webhook) + '\n';
    for (const auto& service : config.stack.services)
        text += text_of_service(service);
    return text;
}

}  // namespace keepwell
