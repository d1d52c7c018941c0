#include "daemon/config_found.hpp"

#include "daemon/config_probe.hpp"
#include "daemon/shape.hpp"
#include "daemon/stack.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell {

namespace {

using docker::FoundService;

void drop(Node& entry, std::string_view key)
{
    std::erase_if(entry.children, [&](const Node& child) { return child.key == key; });
}

Node instances_of(const FoundService& service)
{
    Node instances{.kind = Node::Kind::mapping, .key = "instances"};
    for (const auto& each : service.instances)
        instances.children.push_back(
            {.kind = Node::Kind::scalar, .quoted = true, .key = each.name, .text = each.address});
    return instances;
}

// What does not go together with what is laid over it.
void make_way(Node& entry, const Node& layer)
{
    if (layer.find("instances"))
        drop(entry, "instances");
    if (layer.find("probes")) {
        drop(entry, "probes");
        for (const auto& row : rows_of<Timing>())
            drop(entry, row.name);
    }
    const auto* restart = layer.find("restart");
    auto own = std::ranges::find(entry.children, std::string_view{"restart"}, &Node::key);
    if (restart && restart->find("command") && own != entry.children.end())
        drop(*own, "docker");
}

void lay(Node& entry, const Node& layer)
{
    if (!layer.is_mapping())
        return;
    make_way(entry, layer);
    lay_over(entry, layer);
}

// Whether it is without mistakes; else the first one is told, as a warning with what follows from it.
bool makes_entry(const Node& entry, const CheckEntry& check, std::string where, std::string_view consequence,
                 std::vector<Problem>& problems)
{
    const auto found = check(entry);
    const auto error = std::ranges::find(found, Severity::error, &Problem::severity);
    if (error == found.end())
        return true;
    problems.push_back({.severity = Severity::warning,
                        .file = std::move(where),
                        .path = error->path,
                        .text = fmt::format("{}{}", error->text, consequence),
                        .suggestion = error->suggestion});
    return false;
}

// The labels alone must make an entry; else they are told of and left out.
bool are_fine(const FoundService& service, const CheckEntry& check, std::vector<Problem>& problems)
{
    Node entry{.kind = Node::Kind::mapping, .key = service.name};
    if (const auto* restart = service.settings.find("restart"))
        entry.children.push_back(*restart);
    entry.children.push_back(instances_of(service));
    lay(entry, service.labels);
    return makes_entry(entry, check, "labels of " + service.instances.front().container,
                       "; all its keepwell labels are passed over", problems);
}

// What the containers themselves tell must make an entry: one container with an impossible name or port must
// not keep the others from being watched.
bool can_be_watched(const FoundService& service, const CheckEntry& check, std::vector<Problem>& problems)
{
    Node entry = service.settings;
    entry.key = service.name;
    entry.children.push_back(instances_of(service));
    return makes_entry(entry, check, "container " + service.instances.front().container,
                       "; it is not watched", problems);
}

Node entry_of(const FoundService& service, const Node* own, bool with_labels)
{
    Node entry = service.settings;
    entry.kind = Node::Kind::mapping;
    entry.key = service.name;
    entry.children.push_back(instances_of(service));
    if (own) {
        entry.key_mark = own->key_mark;
        lay(entry, *own);
    }
    if (with_labels)
        lay(entry, service.labels);
    return entry;
}

std::string origin_of(const FoundService& service, const Node* own, bool with_labels)
{
    if (with_labels && service.labels.find("probes"))
        return "its label keepwell.probes";
    return own && own->find("probes") ? "the configuration file" : service.origin;
}

}  // namespace

ServicesWithFound with_found(const Node* services, const docker::Found& found, const CheckEntry& check,
                             std::vector<Problem>& problems)
{
    ServicesWithFound with{.services = {.kind = Node::Kind::mapping, .key = "services"}};
    auto& all = with.services;
    if (services) {
        all = *services;
        if (!all.is_mapping() && !all.is_null())
            return with;  // told by whoever reads it
        all.kind = Node::Kind::mapping;
    }
    std::erase_if(all.children, [&](const Node& entry) {
        const bool runs =
            std::ranges::find(found.services, entry.key, &FoundService::name) != found.services.end();
        const bool alone = entry.find("instances") || (entry.find("probes") && !differs_by_instance(entry));
        if (!runs && !alone && !found.services.empty())
            problems.push_back({.severity = Severity::warning,
                                .mark = entry.place(),
                                .path = "services." + entry.key,
                                .text = "no container of this service is there: it is not watched now"});
        return !runs && !alone;
    });
    for (const auto& service : found.services) {
        if (!can_be_watched(service, check, problems))
            continue;
        const bool labels = service.labels.children.empty() || are_fine(service, check, problems);
        const auto own = std::ranges::find(all.children, service.name, &Node::key);
        const auto* in_file = own == all.children.end() ? nullptr : &*own;
        with.origins[service.name] = origin_of(service, in_file, labels);
        auto entry = entry_of(service, in_file, labels);
        if (in_file)
            *own = std::move(entry);
        else
            all.children.push_back(std::move(entry));
    }
    return with;
}

}  // namespace keepwell
