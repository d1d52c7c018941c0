#include "daemon/expansion.hpp"

#include "probes/pin.hpp"

namespace keepwell {

namespace {

std::set<std::string> names_of(const Service& service)
{
    std::set<std::string> names;
    for (const auto& instance : service.instances)
        for (const auto& probe : instance.probes)
            if (auto name = name_to_resolve(*probe.spec))
                names.insert(std::move(*name));
    return names;
}

Instance pinned_instance(const Instance& pattern, const std::string& address)
{
    Instance instance = pattern;
    instance.name = instance.address = address;
    for (auto& probe : instance.probes)
        if (name_to_resolve(*probe.spec))
            probe.spec = std::make_shared<const ProbeSpec>(pinned(*probe.spec, address));
    return instance;
}

}  // namespace

std::set<std::string> names_to_follow(const StackSpec& spec)
{
    std::set<std::string> names;
    for (const auto& service : spec.services)
        if (service.all_addresses)
            names.merge(names_of(service));
    return names;
}

StackSpec expanded(StackSpec spec, const NameAddresses& addresses)
{
    for (auto& service : spec.services) {
        if (!service.all_addresses || service.instances.empty())
            continue;
        std::set<std::string> all;
        for (const auto& name : names_of(service))
            if (const auto found = addresses.find(name); found != addresses.end())
                all.insert(found->second.begin(), found->second.end());
        if (all.empty())
            continue;
        const auto pattern = service.instances.front();
        service.instances.clear();
        for (const auto& address : all)
            service.instances.push_back(pinned_instance(pattern, address));
    }
    return spec;
}

}  // namespace keepwell
