#include "daemon/docker/project.hpp"

#include "daemon/config_probe.hpp"
#include "daemon/docker/identity.hpp"
#include "daemon/docker/labels.hpp"
#include "daemon/docker/probing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace keepwell::docker {

namespace {

constexpr int action_margin = 30;  // seconds that a restart may take beyond the container's own grace

// Compose writes `db:service_healthy:false,cache:service_started:true`.
std::vector<Edge> edges_of_label(std::string_view label)
{
    std::vector<Edge> edges;
    for (const auto part : std::views::split(label, ',')) {
        const std::string_view text{part.begin(), part.end()};
        const auto first = text.find(':');
        const auto second = text.find(':', std::min(first, text.size() - 1) + 1);
        Edge edge{.service = std::string{text.substr(0, first)}};
        if (edge.service.empty())
            continue;
        if (first != text.npos)
            for (const auto& [condition, name] : enum_names(Condition{}))
                if (text.substr(first + 1, second - first - 1) == name)
                    edge.condition = condition;
        edge.restart = second != text.npos && text.substr(second + 1) == "true";
        edges.push_back(std::move(edge));
    }
    return edges;
}

Node edges_node(const std::vector<Edge>& edges)
{
    Node all{.kind = Node::Kind::mapping, .key = "depends_on"};
    for (const auto& edge : edges) {
        Node one{.kind = Node::Kind::mapping, .key = edge.service};
        one.children = {
            {.kind = Node::Kind::scalar, .key = "condition", .text = std::string{name_of(edge.condition)}},
            {.kind = Node::Kind::scalar, .key = "restart", .text = edge.restart ? "true" : "false"}};
        all.children.push_back(std::move(one));
    }
    return all;
}

class Finder {
public:
    Finder(std::span<const Container> containers, const Scope& scope, const Self& self, Addresses& known)
        : containers_{containers}, scope_{scope}, self_{self}, known_{known}
    {
    }

    Found find()
    {
        if (!scope_.all && scope_.projects.size() < 2)
            found_.project = scope_.projects.empty() ? self_.project : scope_.projects.front();
        for (const auto& container : containers_)
            if (container.running())
                in_use_.insert(address_of(container));
        in_use_.erase(std::string{});
        for (const auto* container : current(containers_))
            if (is_watched(*container))
                group_of(*container).push_back(container);
        for (const auto& [name, group] : groups_)
            add(name, group);
        for (auto& service : found_.services)
            keep_known_edges(service);
        break_circles();
        for (auto& service : found_.services)
            if (!edges_[service.name].empty())
                service.settings.children.push_back(edges_node(edges_[service.name]));
        return std::move(found_);
    }

private:
    using Group = std::vector<const Container*>;

    bool is_watched(const Container& container) const
    {
        const auto project = identity_of(container).project;
        const bool wanted = scope_.all ? true
                            : scope_.projects.empty()
                                ? !project.empty() && project == self_.project
                                : std::ranges::find(scope_.projects, project) != scope_.projects.end();
        return wanted && container.id != self_.id && container.label(self_label) != "true" &&
               !is_left_alone(container);
    }

    // Several projects may have services of the same name.
    std::string name_of_service(const Container& container) const
    {
        const auto identity = identity_of(container);
        return found_.project.empty() && !identity.project.empty() ? identity.project + "." + identity.service
                                                                   : identity.service;
    }

    Group& group_of(const Container& container) { return groups_[name_of_service(container)]; }

    void add(const std::string& name, const Group& group)
    {
        if (!is_name(name)) {
            found_.notes.push_back(
                fmt::format("the container {} is not watched: {} is too long for a name, or no name at all",
                            group.front()->name, name));
            return;
        }
        FoundService service{.name = name, .project = identity_of(*group.front()).project};
        bool reachable = true;
        bool taken = false;
        for (const auto* container : group) {
            service.instances.push_back(instance_of(*container));
            const auto& address = service.instances.back().address;
            reachable = reachable && !address.empty();
            taken = taken || (!container->running() && in_use_.contains(address));
        }
        const auto& model = model_of(group);
        auto probing = probing_of(model, scope_.by_verdict.contains(name) ? Access::misleading
                                         : taken                          ? Access::taken
                                         : reachable                      ? Access::open
                                                                          : Access::closed);
        service.settings = std::move(probing.settings);
        service.origin = std::move(probing.origin);
        service.native = probing.native;
        add_restart(model, service.settings);
        service.labels = settings_of_labels(model, found_.notes);
        note_edges(name, group);
        found_.services.push_back(std::move(service));
    }

    // A half-finished update has containers of two kinds: the newest one tells.
    static const Container& model_of(const Group& group)
    {
        return **std::ranges::max_element(
            group, {}, [](const auto* each) { return std::pair{each->running(), each->started_at}; });
    }

    FoundInstance instance_of(const Container& container)
    {
        FoundInstance instance{.name = instance_name(container),
                               .container = container.name,
                               .address = address_of(container),
                               .life = container.id + " " + container.started_at,
                               .rest = reason_for_rest(container)};
        auto& known = known_[container.name];
        if (instance.address.empty())
            instance.address = known;
        else
            known = instance.address;
        return instance;
    }

    const Container* by_id(std::string_view id) const
    {
        const auto found = std::ranges::find_if(containers_, [&](const Container& each) {
            return !id.empty() && (each.id.starts_with(id) || each.name == id);
        });
        return found == containers_.end() ? nullptr : &*found;
    }

    // Its address on a network that keepwell is on, too. On the host every bridge can be reached.
    std::string address_of(const Container& container) const
    {
        constexpr std::string_view shared = "container:";
        if (container.network_mode.starts_with(shared)) {
            const auto* owner = by_id(std::string_view{container.network_mode}.substr(shared.size()));
            return owner && owner != &container ? address_of(*owner) : std::string{};
        }
        if (container.network_mode == "host")
            return self_.on_host_network() ? "127.0.0.1" : "";
        for (const auto& [network, address] : container.addresses)
            if (!address.empty() && (self_.on_host_network() || self_.networks.contains(network)))
                return address;
        return {};
    }

    // An action may take as long as the container may take to stop, and then some.
    static void add_restart(const Container& container, Node& settings)
    {
        Node timeout{
            .kind = Node::Kind::scalar,
            .key = "timeout",
            .text = std::to_string(std::clamp(container.stop_timeout, 0, 86'000) + action_margin) + "s"};
        Node actuator{.kind = Node::Kind::mapping, .key = "docker"};
        actuator.children = {std::move(timeout)};
        Node restart{.kind = Node::Kind::mapping, .key = "restart"};
        restart.children = {std::move(actuator)};
        settings.children.push_back(std::move(restart));
    }

    // Dependencies by Compose's label; sharing a namespace is one, too, and restarts.
    void note_edges(const std::string& name, const Group& group)
    {
        auto& edges = edges_[name];
        const auto& first = *group.front();
        const auto prefix = found_.project.empty() && !identity_of(first).project.empty()
                                ? identity_of(first).project + "."
                                : std::string{};
        for (auto& edge : edges_of_label(first.label("com.docker.compose.depends_on"))) {
            edge.service.insert(0, prefix);
            if (std::ranges::find(edges, edge.service, &Edge::service) == edges.end())
                edges.push_back(std::move(edge));
        }
        for (const auto& mode : {first.network_mode, first.pid_mode, first.ipc_mode})
            note_shared_namespace(name, first, mode);
    }

    void note_shared_namespace(const std::string& name, const Container& container, std::string_view mode)
    {
        constexpr std::string_view shared = "container:";
        if (!mode.starts_with(shared))
            return;
        const auto* owner = by_id(mode.substr(shared.size()));
        if (!owner) {
            found_.notes.push_back(fmt::format(
                "{} shares a namespace with a container that is gone: it needs to be made anew (docker "
                "compose up -d --force-recreate --no-deps {})",
                container.name, identity_of(container).service));
            return;
        }
        const auto other = name_of_service(*owner);
        auto& edges = edges_[name];
        const auto edge = std::ranges::find(edges, other, &Edge::service);
        if (edge != edges.end())
            edge->restart = true;
        else if (other != name)
            edges.push_back({.service = other, .restart = true});
    }

    bool is_found(std::string_view name) const
    {
        return std::ranges::find(found_.services, name, &FoundService::name) != found_.services.end();
    }

    // Profiles and `required: false` leave edges to services that do not run.
    void keep_known_edges(const FoundService& service)
    {
        std::erase_if(edges_[service.name], [&](const Edge& edge) {
            return edge.service == service.name || !is_found(edge.service);
        });
    }

    bool reaches(const std::string& from, const std::string& to, std::set<std::string>& seen) const
    {
        if (from == to)
            return true;
        const auto edges = edges_.find(from);
        return edges != edges_.end() && seen.insert(from).second &&
               std::ranges::any_of(edges->second,
                                   [&](const Edge& edge) { return reaches(edge.service, to, seen); });
    }

    void break_circles()
    {
        for (auto& [name, edges] : edges_) {
            auto all = std::exchange(edges, {});
            for (auto& edge : all) {
                std::set<std::string> seen;
                if (reaches(edge.service, name, seen))
                    found_.notes.push_back(
                        fmt::format("{} and {} depend on each other: that {} depends on {} is passed over",
                                    name, edge.service, name, edge.service));
                else
                    edges.push_back(std::move(edge));
            }
        }
    }

    std::span<const Container> containers_;
    const Scope& scope_;
    const Self& self_;
    Addresses& known_;
    Found found_{};
    std::map<std::string, Group> groups_{};
    std::set<std::string> in_use_{};                    // addresses of what runs
    std::map<std::string, std::vector<Edge>> edges_{};  // by service
};

}  // namespace

Self self_of(const Container& own)
{
    Self self{.id = own.id, .project = identity_of(own).project};
    if (own.network_mode != "host")
        for (const auto& [network, address] : own.addresses)
            self.networks.insert(network);
    return self;
}

Found find_services(std::span<const Container> containers, const Scope& scope, const Self& self,
                    Addresses& known)
{
    return Finder{containers, scope, self, known}.find();
}

}  // namespace keepwell::docker
