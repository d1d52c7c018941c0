#include "exporters/targets.hpp"

#include "probes/utf8.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace keepwell {

namespace json = boost::json;

namespace {

// Where a probe of any kind goes; null for kinds that go nowhere.
const Address* address_of(const ProbeSpec& spec)
{
    return std::visit(
        [](const auto& each) -> const Address* {
            if constexpr (requires { each.url.address(); })
                return &each.url.address();
            else if constexpr (requires { each.address.pinned; })
                return &each.address;
            else
                return nullptr;
        },
        spec);
}

std::string text_of_target(const ProbeSpec& spec)
{
    const auto* http = std::get_if<HttpSpec>(&spec);
    return http ? http->url.text() : address_of(spec)->text();
}

// host:port, of one instance where a name has several.
std::string connected_to(Address address)
{
    if (!address.pinned.empty())
        address.host = std::exchange(address.pinned, {});
    return address.text();
}

using Labels = std::map<std::string, std::string>;

Labels labels_of(const Stack& stack, const Stack::ProbeRow& row)
{
    const auto& instance = stack.instances()[row.instance];
    const auto& service = *stack.services()[instance.service].spec;
    const auto& probe = *row.spec;
    return {{"project", service.project.empty() ? stack.spec().project : service.project},
            {"service", service.name},
            {"instance", instance.spec->name},
            {"probe", probe.name},
            {"kind", std::string{kind_of(*probe.spec)}},
            {"role", std::string{name_of(probe.role)}},
            {"address", connected_to(*address_of(*probe.spec))}};
}

bool matches(const Labels& labels, const Labels& wanted)
{
    return std::ranges::all_of(wanted, [&](const auto& each) {
        const auto found = labels.find(each.first);
        return found != labels.end() && found->second == each.second;
    });
}

}  // namespace

std::string targets_json(const Monitor& monitor, const std::map<std::string, std::string>& wanted)
{
    json::array groups;
    for (const auto& row : monitor.stack().probes()) {
        if (!address_of(*row.spec->spec))
            continue;
        const auto labels = labels_of(monitor.stack(), row);
        if (!matches(labels, wanted))
            continue;
        json::object object;
        for (const auto& [name, value] : labels)
            object["__meta_keepwell_" + name] = valid_utf8(value);
        groups.push_back(json::object{{"targets", json::array{text_of_target(*row.spec->spec)}},
                                      {"labels", std::move(object)}});
    }
    return json::serialize(groups) + "\n";
}

}  // namespace keepwell
