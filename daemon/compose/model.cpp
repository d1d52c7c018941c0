#include "daemon/compose/model.hpp"

#include <algorithm>
#include <charconv>

namespace keepwell::compose {

namespace {

std::string text_at(const Node& node, std::string_view key)
{
    const auto* child = node.find(key);
    return child && child->is_scalar() ? child->text : std::string{};
}

class ModelReader {
public:
    ModelReader(std::string_view file, std::vector<Problem>& problems) : file_{file}, problems_{problems} {}

    Model read(const Node& root)
    {
        Model model{.project = text_at(root, "name")};
        const auto* services = root.find("services");
        if (!services || !services->is_mapping()) {
            complain(root, "has no services",
                     "is this a Compose file? `docker compose config --format json` prints one");
            return model;
        }
        for (const auto& child : services->children)
            if (child.is_mapping())
                model.services.push_back(read_service(child));
            else
                complain(child, "services." + child.key + ": expected a mapping, found " + found(child), "");
        keep_known_edges(model);
        return model;
    }

private:
    void complain(const Node& node, std::string text, std::string suggestion)
    {
        problems_.push_back({.file = std::string{file_},
                             .mark = node.place(),
                             .text = std::move(text),
                             .suggestion = std::move(suggestion)});
    }

    ServiceModel read_service(const Node& node)
    {
        ServiceModel service{.name = node.key, .image = text_at(node, "image"), .mark = node.place()};
        if (const auto* check = node.find("healthcheck"); check && check->is_mapping())
            service.healthcheck = read_healthcheck(*check);
        if (const auto* edges = node.find("depends_on"))
            service.depends_on = read_edges(*edges);
        if (const auto* environment = node.find("environment"))
            read_environment(*environment, service.environment);
        read_ports(node, service.ports);
        for (const std::string_view shared : {"network_mode", "pid", "ipc"})
            read_namespace(text_at(node, shared), shared == "network_mode", service);
        if (const auto* links = node.find("links"))
            for (const auto& link : links->children)
                add_edge(service.depends_on,
                         {link.text.substr(0, link.text.find(':')), Condition::started, true});
        service.replicas = read_replicas(node);
        return service;
    }

    Healthcheck read_healthcheck(const Node& node)
    {
        Healthcheck check{.interval = text_at(node, "interval"),
                          .timeout = text_at(node, "timeout"),
                          .retries = text_at(node, "retries"),
                          .start_period = text_at(node, "start_period"),
                          .start_interval = text_at(node, "start_interval")};
        const auto* test = node.find("test");
        if (text_at(node, "disable") == "true")
            check.test = {"NONE"};
        else if (test && test->is_scalar())
            check.test = {"CMD-SHELL", test->text};
        else if (test && test->is_sequence())
            for (const auto& word : test->children)
                check.test.push_back(word.text);
        return check;
    }

    static void add_edge(std::vector<Edge>& edges, Edge edge)
    {
        const auto known = std::ranges::find(edges, edge.service, &Edge::service);
        if (known == edges.end())
            edges.push_back(std::move(edge));
        else
            known->restart = known->restart || edge.restart;
    }

    std::vector<Edge> read_edges(const Node& node)
    {
        std::vector<Edge> edges;
        for (const auto& child : node.children) {
            if (node.is_sequence()) {
                add_edge(edges, {child.text});
                continue;
            }
            Edge edge{.service = child.key, .restart = text_at(child, "restart") == "true"};
            const auto condition = text_at(child, "condition");
            for (const auto& named : enum_names(Condition{}))
                if (named.name == condition)
                    edge.condition = named.value;
            add_edge(edges, std::move(edge));
        }
        return edges;
    }

    static void read_environment(const Node& node, std::map<std::string, std::string>& environment)
    {
        for (const auto& child : node.children) {
            const auto equals = child.text.find('=');
            if (node.is_mapping())
                environment[child.key] = child.text;
            else if (equals != child.text.npos)
                environment[child.text.substr(0, equals)] = child.text.substr(equals + 1);
        }
    }

    // `8080:80/tcp`, `127.0.0.1:8080:80`, `80`, or {target: 80, protocol: tcp}; ranges count by their first
    // port.
    static void read_ports(const Node& node, std::vector<std::string>& ports)
    {
        for (const std::string_view key : {"ports", "expose"}) {
            const auto* list = node.find(key);
            if (!list)
                continue;
            for (const auto& each : list->children) {
                auto text =
                    each.is_mapping() ? text_at(each, "target") + "/" + text_at(each, "protocol") : each.text;
                if (text.ends_with("/udp"))
                    continue;
                text = text.substr(0, text.find('/'));
                text = text.substr(text.rfind(':') + 1);
                text = text.substr(0, text.find('-'));
                const bool number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
                if (number && std::ranges::find(ports, text) == ports.end())
                    ports.push_back(text);
            }
        }
    }

    static void read_namespace(std::string_view mode, bool network, ServiceModel& service)
    {
        constexpr std::string_view of_service = "service:";
        if (mode == "host" && network)
            service.host_network = true;
        if (!mode.starts_with(of_service))
            return;
        const std::string other{mode.substr(of_service.size())};
        if (network)
            service.network_of = other;
        add_edge(service.depends_on, {other, Condition::started, true});
    }

    static int read_replicas(const Node& node)
    {
        const auto* deploy = node.find("deploy");
        auto text = text_at(node, "scale");
        if (deploy && text.empty())
            text = text_at(*deploy, "replicas");
        int replicas = 1;
        std::from_chars(text.data(), text.data() + text.size(), replicas);
        return replicas;
    }

    // Compose lets `required: false` point at a service that is not there.
    static void keep_known_edges(Model& model)
    {
        for (auto& service : model.services)
            std::erase_if(service.depends_on, [&](const Edge& edge) {
                return std::ranges::find(model.services, edge.service, &ServiceModel::name) ==
                       model.services.end();
            });
    }

    std::string_view file_;
    std::vector<Problem>& problems_;
};

}  // namespace

Model read_model(const Node& root, std::string_view file, std::vector<Problem>& problems)
{
    return ModelReader{file, problems}.read(root);
}

}  // namespace keepwell::compose
