#include "daemon/docker/identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace keepwell::docker {

namespace {

constexpr std::size_t id_prefix = 12;

// Compose makes a replacement under `<12 hex digits of the old one's id>_<name>` and renames it later.
bool has_temporary_name(const Container& container)
{
    const auto& name = container.name;
    return name.size() > id_prefix + 1 && name[id_prefix] == '_' &&
           name.substr(0, id_prefix).find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Started the later, the better; the texts sort like the times.
auto worth(const Container& container)
{
    return std::tuple{container.running() || container.status == Status::paused,
                      !has_temporary_name(container), container.started_at, container.id};
}

// `shop_api.2.k3j...` of service `shop_api`: the slot; for a global service the node.
std::string slot_of(const Container& container, const std::string& service)
{
    const auto task = container.label("com.docker.swarm.task.name");
    if (!task.starts_with(service + "."))
        return {};
    const auto rest = task.substr(service.size() + 1);
    return rest.substr(0, rest.find('.'));
}

}  // namespace

Identity identity_of(const Container& container)
{
    if (auto service = container.label("com.docker.swarm.service.name"); !service.empty()) {
        Identity identity{.project = container.label("com.docker.stack.namespace"),
                          .service = service,
                          .number = slot_of(container, service),
                          .swarm = true};
        if (!identity.project.empty() && service.starts_with(identity.project + "_"))
            identity.service = service.substr(identity.project.size() + 1);
        return identity;
    }
    if (auto service = container.label("com.docker.compose.service"); !service.empty())
        return {.project = container.label("com.docker.compose.project"),
                .service = service,
                .number = container.label("com.docker.compose.container-number"),
                .one_off = container.label("com.docker.compose.oneoff") == "True"};
    return {.service = container.name};
}

std::string instance_name(const Container& container)
{
    const auto identity = identity_of(container);
    if (identity.swarm && !identity.number.empty())
        return identity.service + "-" + identity.number;
    return has_temporary_name(container) ? container.name.substr(id_prefix + 1) : container.name;
}

std::vector<const Container*> current(std::span<const Container> containers)
{
    std::map<Identity, const Container*> best;
    for (const auto& container : containers) {
        const auto identity = identity_of(container);
        if (identity.one_off || container.status == Status::removing)
            continue;
        auto& place = best[identity];
        if (!place || worth(*place) < worth(container))
            place = &container;
    }
    std::vector<const Container*> all;
    all.reserve(best.size());
    for (const auto& [identity, container] : best)
        all.push_back(container);
    return all;
}

std::string reason_for_rest(const Container& container)
{
    constexpr int terminated = 143;  // by SIGTERM: somebody stopped it
    switch (container.status) {
        case Status::running:
        case Status::restarting: return {};
        case Status::paused: return "paused";
        case Status::created: return "never started";
        case Status::removing: return "being removed";
        case Status::exited:
        case Status::dead: break;
    }
    if (container.asked_to_stop)
        return "stopped by hand";
    // Docker starts these again itself, unless somebody stopped them.
    if (container.restart_policy == "always" || container.restart_policy == "unless-stopped")
        return "stopped by hand";
    if (container.exit_code == 0)
        return "done";
    if (container.exit_code == terminated)
        return "stopped by hand";
    return container.never_ran
               ? fmt::format("ended with code {} before keepwell watched", container.exit_code)
               : std::string{};
}

}  // namespace keepwell::docker
