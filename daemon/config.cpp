#include "daemon/config.hpp"

#include "daemon/config_check.hpp"
#include "daemon/config_found.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/config_probe.hpp"
#include "daemon/document.hpp"
#include "daemon/file_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>

namespace keepwell {

namespace {

// More than this is a slip or an attack, and would not be watched well.
constexpr std::size_t most_services = 100'000;
constexpr std::size_t most_probes = 200'000;
// A program that decrypts takes its time; who writes nothing for so long never does.
constexpr std::chrono::seconds pipes_patience{5};

class Loader {
public:
    Loader(const std::string& file, const std::string& directory, LoadedConfig& loaded,
           const docker::Found* found = nullptr)
        : loaded_{loaded}, config_{loaded.config}, reader_{file, directory, loaded.problems}, found_{found}
    {
    }

    void load(const Node& root);

private:
    void add_found(const Node& root);
    std::vector<Problem> problems_of(const Node& entry) const;
    void name_containers(Service& service) const;
    const docker::FoundService* found_service(std::string_view name) const;
    void load_services(const Node& services);
    Service load_service(const Node& node);
    void load_instances(const Node& node, Service& service);
    void load_probes(const Node* node, const Timing& defaults, Service& service);
    void load_edges(const Node& node, Service& service);
    void count_probes(const Node& node, std::size_t probes);

    LoadedConfig& loaded_;
    Config& config_;
    Reader reader_;
    const docker::Found* found_;
    FileKeys keys_{};
    ServicesWithFound services_{};
    OptionalEdges optional_edges_{};
    std::size_t probes_ = 0;
};

// Keys for people's own use, most often anchors: `x-defaults: &defaults ...`.
bool is_extension(const Node& child) { return child.key.starts_with("x-"); }

void Loader::load(const Node& root)
{
    if (root.is_null()) {
        reader_.warn({}, "the file is empty: nothing is watched",
                     "see docs/reference.md for a first configuration");
        return;
    }
    reader_.read_rows(root, rows_of<FileKeys>(), &keys_, is_extension);
    config_.stack.project = keys_.project;
    config_.stack.mode = keys_.mode;
    config_.stack.max_restarts_at_once = keys_.max_restarts_at_once;
    config_.state_path = keys_.state_path;
    config_.external_url = std::move(keys_.external_url);
    config_.alert_after = keys_.alert_after;
    config_.alertmanager = std::move(keys_.alertmanager);
    config_.webhooks = std::move(keys_.webhooks);
    config_.docker = std::move(keys_.docker);
    config_.lease = std::move(keys_.lease);
    static const docker::Found nothing_yet;
    if (!config_.docker)
        found_ = nullptr;
    else if (!found_)
        found_ = &nothing_yet;  // services of the file may stand for containers that nobody has looked for
    if (const auto* webhooks = root.find("webhooks"))
        check_webhook_names(reader_, *webhooks, config_.webhooks);
    if (const auto* project = root.find("project"); project && project->is_scalar()) {
        const auto step = reader_.enter("project");
        check_name(reader_, project->mark, keys_.project, found(*project));
    }
    if (keys_.self_check.node) {
        const auto step = reader_.enter("self_check");
        auto probe = read_probe(reader_, *keys_.self_check.node, keys_.defaults);
        if (probe.name.empty())
            probe.name = "self_check";
        if (config_.docker)
            ask_engine(probe, *config_.docker);
        if (probe.spec)
            config_.self_check = std::move(probe);
    }
    if (found_)
        add_found(root);
    if (keys_.services.node)
        load_services(*keys_.services.node);
    else if (root.is_mapping() && !config_.docker)
        reader_.warn({}, "there are no services: nothing is watched", "add some under the key \"services\"");
}

void Loader::load_services(const Node& services)
{
    {
        const auto step = reader_.enter("services");
        if (!services.is_mapping())
            return reader_.expected(services, "expected a mapping from names to services",
                                    services.is_sequence() ? "write \"name:\" without \"- \"" : "");
        if (services.children.size() > most_services)
            return reader_.complain(services.place(), fmt::format("more than {} services", most_services),
                                    "run several keepwells");
        for (const auto& child : services.children)
            config_.stack.services.push_back(load_service(child));
    }
    check_dependencies(reader_, services, config_.stack, optional_edges_);
    if (!loaded_.ok())
        return;
    if (probes_ == 0 && !config_.docker)
        reader_.warn(services.place(), "there are no probes: nothing is watched", "give the services probes");
    else
        warn_of_oversights(reader_, services, config_.stack);
}

void Loader::add_found(const Node& root)
{
    services_ = with_found(
        keys_.services.node, *found_, [this](const Node& entry) { return problems_of(entry); },
        loaded_.problems);
    keys_.services.node = &services_.services;
    if (!root.find("project") && !found_->project.empty())
        config_.stack.project = found_->project;
}

// Of an entry by itself, with the file's defaults.
std::vector<Problem> Loader::problems_of(const Node& entry) const
{
    LoadedConfig loaded;
    Loader alone{{}, ".", loaded, found_};
    alone.keys_.defaults = keys_.defaults;
    alone.load_service(entry);
    return std::move(loaded.problems);
}

const docker::FoundService* Loader::found_service(std::string_view name) const
{
    if (!found_)
        return nullptr;
    const auto found = std::ranges::find(found_->services, name, &docker::FoundService::name);
    return found == found_->services.end() ? nullptr : &*found;
}

void Loader::name_containers(Service& service) const
{
    const auto* found = found_service(service.name);
    if (!found)
        return;
    service.project = found->project;
    if (const auto origin = services_.origins.find(service.name); origin != services_.origins.end())
        service.origin = origin->second;
    service.native = found->native && service.origin == found->origin;
    for (auto& instance : service.instances) {
        const auto same = std::ranges::find(found->instances, instance.name, &docker::FoundInstance::name);
        if (same == found->instances.end())
            continue;
        instance.container = same->container;
        instance.rest = same->rest;
    }
}

Service Loader::load_service(const Node& node)
{
    const auto step = reader_.enter(node.key);
    check_name(reader_, node.key_mark, node.key, shown(node.key));
    ServiceKeys keys;
    static_cast<Timing&>(keys) = keys_.defaults;
    keys.restart = keys_.defaults.restart;
    reader_.read(node, keys);
    Service service{.name = node.key, .restart = std::move(keys.restart), .min_healthy = keys.min_healthy};
    if (keys.instances.node) {
        const auto in_instances = reader_.enter("instances");
        load_instances(*keys.instances.node, service);
    }
    if (service.instances.empty())
        service.instances.push_back({.name = service.name});
    name_containers(service);
    load_probes(keys.probes.node, keys, service);
    if (keys.depends_on.node) {
        const auto in_edges = reader_.enter("depends_on");
        load_edges(*keys.depends_on.node, service);
    }
    // Containers come and go.
    const bool grows = service.all_addresses || found_service(service.name);
    if (!grows && static_cast<std::size_t>(keys.min_healthy) > service.instances.size())
        reader_.complain(node.find("min_healthy") ? node.find("min_healthy")->place() : node.place(),
                         fmt::format("min_healthy is {}, but the service has {} instance{}", keys.min_healthy,
                                     service.instances.size(), service.instances.size() == 1 ? "" : "s"));
    return service;
}

// Names of instances stand in labels; they may look like addresses.
bool is_instance_name(std::string_view text)
{
    return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"_-.:[]%"}.contains(c);
    });
}

void Loader::load_instances(const Node& node, Service& service)
{
    if (node.is_scalar() && node.text == "all") {
        service.all_addresses = true;
        return;
    }
    if (!node.is_sequence() && !node.is_mapping())
        return reader_.expected(node,
                                "expected a list of addresses, a mapping from names to addresses, or all");
    std::unordered_set<std::string> names;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        const auto& child = node.children[i];
        const auto step = node.is_mapping() ? reader_.enter(child.key) : reader_.enter(i);
        std::string address;
        reader_.read(child, address);
        if (!child.is_scalar())
            continue;
        const auto& name = node.is_mapping() ? child.key : address;
        const auto name_shown = node.is_mapping() ? shown(name) : found(child);
        if (!is_instance_name(name))
            reader_.complain(child.place(), name_shown + " cannot be the name of an instance",
                             "use letters, digits and _ - . : [ ] %");
        else if (!names.insert(name).second)
            reader_.complain(child.place(), "the instance " + name_shown + " is here twice");
        service.instances.push_back({.name = name, .address = address});
    }
    if (node.children.empty())
        reader_.complain(node.place(), "no instances are given",
                         "remove the key: a service has one instance by itself");
}

void Loader::load_probes(const Node* node, const Timing& defaults, Service& service)
{
    if (!node)
        return;
    const auto step = reader_.enter("probes");
    count_probes(*node, node->children.size() * service.instances.size());
    const bool differ = differs_by_instance(*node);
    if (needs_address(*node) && service.instances.front().address.empty() && !found_service(service.name))
        return reader_.complain(
            node->place(), "{address} stands for nothing here: the service has no instances with addresses",
            "add \"instances\"");
    const auto before = reader_.complaints();
    std::vector<Probe> probes;
    for (std::size_t i = 0; i < service.instances.size(); ++i) {
        auto& instance = service.instances[i];
        // Mistakes are told once, and probes that are alike are shared.
        if (i == 0 || (differ && reader_.complaints() == before)) {
            probes = read_probes(
                reader_, *node, defaults,
                {config_.stack.project, service.name, instance.name, instance.address, instance.container});
            for (auto& probe : probes)
                if (config_.docker)
                    ask_engine(probe, *config_.docker);
        }
        instance.probes = probes;
    }
}

void Loader::count_probes(const Node& node, std::size_t probes)
{
    if (probes_ <= most_probes && probes_ + probes > most_probes)
        reader_.complain(node.place(),
                         fmt::format("more than {} probes in all instances together", most_probes),
                         "run several keepwells");
    probes_ += probes;
}

void Loader::load_edges(const Node& node, Service& service)
{
    if (!node.is_sequence() && !node.is_mapping() && !node.is_scalar())
        return reader_.expected(node, "expected a list of services, or a mapping as in Compose");
    if (node.is_mapping()) {
        for (const auto& child : node.children) {
            const auto step = reader_.enter(child.key);
            DependencyKeys keys;
            reader_.read(child, keys);
            service.depends_on.push_back(
                {.service = child.key, .condition = keys.condition, .restart = keys.restart});
            if (!keys.required || found_service(service.name))
                optional_edges_.emplace(config_.stack.services.size(), child.key);
        }
        return;
    }
    std::vector<std::string> names;
    reader_.read(node, names);
    std::unordered_set<std::string> seen;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto step = reader_.enter(i);
        if (names[i].empty())
            continue;  // told already
        if (!seen.insert(names[i]).second)
            reader_.complain(node.children[i].place(), found(node.children[i]) + " is here twice");
        else
            service.depends_on.push_back({.service = names[i]});
    }
}

}  // namespace

LoadedConfig parse_config(std::string_view text, const std::string& file, const std::string& directory,
                          const Variables& variables, const docker::Found* found)
{
    auto document = parse_document(text, file, variables);
    LoadedConfig loaded{.problems = std::move(document.problems)};
    if (document.whole)
        Loader{file, directory, loaded, found}.load(document.root);
    sort_by_place(loaded.problems);
    const auto repeated = std::ranges::unique(loaded.problems);
    loaded.problems.erase(repeated.begin(), repeated.end());
    return loaded;
}

LoadedConfig load_config(const std::string& path, const Variables& variables, const docker::Found* found)
{
    const auto text = text_of_file(path, DocumentLimits{}.bytes, pipes_patience);
    if (!text)
        return {.problems = {{.file = path,
                              .text = "cannot read the configuration: " + text.error(),
                              .suggestion = "check the path and its permissions"}}};
    return parse_config(*text, path, std::filesystem::path{path}.parent_path().string(), variables, found);
}

}  // namespace keepwell
