#include "daemon/stack.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace keepwell {

namespace {

// What the configuration promises; a breach is a mistake of ours, so it ends the program, in release as well.
void promised(bool kept, const std::string& what)
{
    if (kept)
        return;
    std::fprintf(stderr, "keepwell: broken promise: %s\n", what.c_str());
    std::abort();
}

template <class Named>
void unique_names(const std::vector<Named>& all, const std::string& where)
{
    std::set<std::string_view> seen;
    for (const auto& each : all)
        promised(seen.insert(each.name).second, where + " has '" + each.name + "' twice");
}

// Strikes out services whose dependencies are all struck out; what remains runs in a circle.
bool acyclic(std::span<const Stack::ServiceRow> services)
{
    std::vector<std::size_t> open(services.size());
    std::vector<ServiceId> free;
    for (ServiceId id = 0; id < services.size(); ++id) {
        open[id] = services[id].needs.size();
        if (open[id] == 0)
            free.push_back(id);
    }
    std::size_t struck = 0;
    for (; !free.empty(); ++struck) {
        const auto id = free.back();
        free.pop_back();
        for (const auto dependant : services[id].dependants)
            if (--open[dependant] == 0)
                free.push_back(dependant);
    }
    return struck == services.size();
}

}  // namespace

Stack::Stack(StackSpec spec) : spec_{std::make_shared<const StackSpec>(std::move(spec))}
{
    unique_names(spec_->services, "the stack");
    for (const auto& service : spec_->services)
        add(service);
    for (ServiceId id = 0; id < services_.size(); ++id)
        for (const auto& edge : services_[id].spec->depends_on) {
            const auto need = find(edge.service);
            promised(need.has_value(), services_[id].spec->name + " depends on unknown " + edge.service);
            services_[id].needs.push_back(*need);
            services_[*need].dependants.push_back(id);
        }
    promised(acyclic(services_), "depends_on runs in a circle");
}

void Stack::add(const Service& service)
{
    by_name_.emplace(service.name, services_.size());
    unique_names(service.instances, service.name);
    auto& row = services_.emplace_back();
    row.spec = &service;
    row.first_instance = instances_.size();
    row.instance_count = service.instances.size();
    for (const auto& instance : service.instances) {
        unique_names(instance.probes, service.name + "/" + instance.name);
        instances_.push_back({.service = services_.size() - 1,
                              .spec = &instance,
                              .first_probe = probes_.size(),
                              .probe_count = instance.probes.size()});
        for (const auto& probe : instance.probes) {
            probes_.push_back({.instance = instances_.size() - 1, .spec = &probe});
            row.probed = row.probed || probe.role != Role::gate;
        }
    }
}

std::optional<ServiceId> Stack::find(std::string_view service) const
{
    const auto found = by_name_.find(service);
    return found == by_name_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<InstanceId> Stack::find(ServiceId id, std::string_view instance) const
{
    const auto& row = services_[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
        if (instances_[each].spec->name == instance)
            return each;
    return {};
}

std::optional<ProbeId> Stack::find_probe(InstanceId id, std::string_view probe) const
{
    const auto& row = instances_[id];
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
        if (probes_[each].spec->name == probe)
            return each;
    return {};
}

}  // namespace keepwell
