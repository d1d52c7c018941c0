#include "daemon/config_check.hpp"

#include "daemon/config_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

namespace {

using Ids = std::unordered_map<std::string_view, std::size_t>;

// Where a service says that it depends on another.
const Node& edge_node(const Node& service, std::string_view on)
{
    const auto* edges = service.find("depends_on");
    if (!edges)
        return service;
    for (const auto& edge : edges->children)
        if (edges->is_mapping() ? edge.key == on : edge.text == on)
            return edge;
    return *edges;
}

std::string name_shown(const Node& edge, std::string_view name)
{
    return edge.from_variable ? found(edge) : shown(name);
}

void complain_of_edge(Reader& reader, const Node& service, std::string_view on, std::string text,
                      std::string suggestion)
{
    const auto in_service = reader.enter(service.key);
    const auto in_edges = reader.enter("depends_on");
    reader.complain(edge_node(service, on).place(), std::move(text), std::move(suggestion));
}

void check_dangling(Reader& reader, const Node& services, StackSpec& stack, const Ids& ids,
                    const OptionalEdges& optional_edges)
{
    std::vector<std::string_view> names;
    names.reserve(stack.services.size());
    for (const auto& service : stack.services)
        names.push_back(service.name);
    for (std::size_t i = 0; i < stack.services.size(); ++i) {
        std::erase_if(stack.services[i].depends_on, [&](const Edge& edge) {
            if (ids.contains(edge.service))
                return false;
            if (!optional_edges.contains({i, edge.service}))
                complain_of_edge(reader, services.children[i], edge.service,
                                 "there is no service " +
                                     name_shown(edge_node(services.children[i], edge.service), edge.service),
                                 did_you_mean(edge.service, names));
            return true;
        });
    }
}

// Walks along the dependencies, depth first, without recursion: a chain may be as long as the file.
class CircleSearch {
public:
    CircleSearch(Reader& reader, const Node& services, const StackSpec& stack, const Ids& ids)
        : reader_{reader},
          services_{services},
          stack_{stack},
          ids_{ids},
          marks_(stack.services.size(), Seen::never)
    {
    }

    void run()
    {
        for (std::size_t i = 0; i < stack_.services.size() && circles_ < most_circles; ++i)
            if (marks_[i] == Seen::never)
                walk(i);
    }

private:
    static constexpr std::size_t most_circles = 100;
    enum class Seen : std::uint8_t { never, on_the_way, done };
    struct Step {
        std::size_t service;
        std::size_t next_edge;
    };

    void walk(std::size_t start)
    {
        std::vector<Step> way{{start, 0}};
        marks_[start] = Seen::on_the_way;
        while (!way.empty()) {
            auto& [service, next_edge] = way.back();
            const auto& edges = stack_.services[service].depends_on;
            if (next_edge == edges.size()) {
                marks_[service] = Seen::done;
                way.pop_back();
                continue;
            }
            const auto to = ids_.at(edges[next_edge++].service);
            if (marks_[to] == Seen::on_the_way)
                complain(way, to);
            else if (marks_[to] == Seen::never) {
                marks_[to] = Seen::on_the_way;
                way.push_back({to, 0});
            }
        }
    }

    void complain(const std::vector<Step>& way, std::size_t closes_at)
    {
        constexpr std::ptrdiff_t most_named = 20;
        if (++circles_ > most_circles)
            return;
        const auto first = std::ranges::find(way, closes_at, &Step::service);
        std::string circle;
        for (auto step = first; step != way.end(); ++step) {
            if (step - first == most_named) {
                circle += fmt::format("... ({} more) -> ", way.end() - step);
                break;
            }
            circle += stack_.services[step->service].name + " -> ";
        }
        circle += stack_.services[closes_at].name;
        complain_of_edge(reader_, services_.children[way.back().service], stack_.services[closes_at].name,
                         "services depend on each other in a circle: " + circle,
                         "remove one of these dependencies");
    }

    Reader& reader_;
    const Node& services_;
    const StackSpec& stack_;
    const Ids& ids_;
    std::vector<Seen> marks_;
    std::size_t circles_ = 0;
};

void warn_of_service(Reader& reader, const Node& node, const Service& service, Mode mode)
{
    const auto count = [&](Role role) {
        return std::ranges::count(service.instances.front().probes, role, &Probe::role);
    };
    const auto all = static_cast<std::ptrdiff_t>(service.instances.front().probes.size());
    const auto gates = count(Role::gate);
    const auto liveness = count(Role::liveness);
    if (all == 0)
        reader.warn(node.place(), "nothing probes this service: its state stays unknown", "give it probes");
    else if (gates + count(Role::startup) == all)
        reader.warn(node.place(), "nothing watches this service once it has started",
                    "give it a liveness or readiness probe");
    if (gates > 0 && liveness == 0)
        reader.warn(node.place(), "its gate is never asked",
                    "only failures of a liveness probe ask for a restart");
    if (mode == Mode::act && liveness > 0 && !service.restart.can_act())
        reader.warn(node.place(), "mode is act, but there is neither restart.command nor restart.docker",
                    "restarts of this service are only signalled");
}

}  // namespace

void check_dependencies(Reader& reader, const Node& services, StackSpec& stack,
                        const OptionalEdges& optional_edges)
{
    const auto step = reader.enter("services");
    Ids ids;
    for (std::size_t i = 0; i < stack.services.size(); ++i)
        ids.emplace(stack.services[i].name, i);
    check_dangling(reader, services, stack, ids, optional_edges);
    CircleSearch{reader, services, stack, ids}.run();
}

void check_webhook_names(Reader& reader, const Node& list, const std::vector<WebhookSettings>& webhooks)
{
    std::unordered_set<std::string> taken{"alertmanager"};
    const auto check = [&](const Node& node, const std::string& name, const std::string& name_shown) {
        if (!is_name(name))
            check_name(reader, node.place(), name, name_shown);
        else if (!taken.insert(name).second)
            reader.complain(node.place(), "there is another receiver " + name_shown,
                            "give each a name of its own");
    };
    const auto in_list = reader.enter("webhooks");
    for (std::size_t i = 0; i < webhooks.size(); ++i) {
        const auto in_entry = reader.enter(i);
        const auto& entry = list.is_sequence() ? list.children[i] : list;
        const auto name = name_of_webhook(webhooks[i], i);
        if (const auto* given = entry.find("name")) {
            const auto in_name = reader.enter("name");
            check(*given, name, found(*given));
        } else {
            check(entry, name, shown(name));
        }
    }
}

void warn_of_oversights(Reader& reader, const Node& services, const StackSpec& stack)
{
    const auto in_services = reader.enter("services");
    for (std::size_t i = 0; i < stack.services.size(); ++i) {
        const auto& service = stack.services[i];
        const auto step = reader.enter(service.name);
        warn_of_service(reader, services.children[i], service, service.restart.mode.value_or(stack.mode));
    }
}

}  // namespace keepwell
