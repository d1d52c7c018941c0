#include "daemon/docker/container.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace keepwell::docker {

namespace json = boost::json;

namespace {

// Members that are missing or of another type read as empty: Engines leave out what does not apply.
const json::object& object_at(const json::object& parent, std::string_view key)
{
    static const json::object none;
    const auto* value = parent.if_contains(key);
    const auto* object = value ? value->if_object() : nullptr;
    return object ? *object : none;
}

std::string text_at(const json::object& parent, std::string_view key)
{
    const auto* value = parent.if_contains(key);
    const auto* text = value ? value->if_string() : nullptr;
    return text ? std::string{*text} : std::string{};
}

bool flag_at(const json::object& parent, std::string_view key)
{
    const auto* value = parent.if_contains(key);
    return value && value->is_bool() && value->get_bool();
}

std::int64_t number_at(const json::object& parent, std::string_view key, std::int64_t otherwise = 0)
{
    const auto* value = parent.if_contains(key);
    return value && value->is_int64() ? value->get_int64() : otherwise;
}

int small_number_at(const json::object& parent, std::string_view key, int otherwise = 0)
{
    return static_cast<int>(std::clamp<std::int64_t>(number_at(parent, key, otherwise), -1, 1'000'000'000));
}

std::vector<std::string> texts_at(const json::object& parent, std::string_view key)
{
    std::vector<std::string> texts;
    const auto* value = parent.if_contains(key);
    const auto* list = value ? value->if_array() : nullptr;
    if (list)
        for (const auto& each : *list)
            if (const auto* text = each.if_string())
                texts.emplace_back(*text);
    return texts;
}

Status status_of(std::string_view text)
{
    constexpr std::array<std::string_view, 7> names{"created",  "running", "paused", "restarting",
                                                    "removing", "exited",  "dead"};
    const auto found = std::ranges::find(names, text);
    return found == names.end() ? Status::dead : static_cast<Status>(found - names.begin());
}

Healthcheck healthcheck_of(const json::object& object)
{
    Healthcheck check{.test = texts_at(object, "Test"),
                      .interval = number_at(object, "Interval"),
                      .timeout = number_at(object, "Timeout"),
                      .start_period = number_at(object, "StartPeriod"),
                      .start_interval = number_at(object, "StartInterval"),
                      .retries = small_number_at(object, "Retries")};
    if (!check.test.empty() && check.test.front() == "NONE")
        return {};
    return check;
}

std::map<std::string, std::string> addresses_of(const json::object& networks)
{
    std::map<std::string, std::string> addresses;
    for (const auto& [name, value] : networks) {
        const auto* network = value.if_object();
        if (!network)
            continue;
        auto address = text_at(*network, "IPAddress");
        if (const auto six = text_at(*network, "GlobalIPv6Address"); address.empty() && !six.empty())
            address = "[" + six + "]";
        const auto id = text_at(*network, "NetworkID");
        addresses[id.empty() ? std::string{name} : id] = std::move(address);
    }
    return addresses;
}

std::vector<std::string> tcp_ports_of(const json::object& exposed)
{
    std::vector<int> numbers;
    for (const auto& [port, unused] : exposed) {
        const std::string_view text = port;
        int number = 0;
        const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
        if (number > 0 && std::string_view{end, text.data() + text.size()} == "/tcp")
            numbers.push_back(number);
    }
    std::ranges::sort(numbers);
    std::vector<std::string> ports;
    ports.reserve(numbers.size());
    for (const auto number : numbers)
        ports.push_back(std::to_string(number));
    return ports;
}

void read_config(const json::object& config, Container& container)
{
    container.image = text_at(config, "Image");
    container.environment = texts_at(config, "Env");
    container.stop_timeout = small_number_at(config, "StopTimeout", container.stop_timeout);
    container.healthcheck = healthcheck_of(object_at(config, "Healthcheck"));
    container.ports = tcp_ports_of(object_at(config, "ExposedPorts"));
    for (const auto& [key, value] : object_at(config, "Labels"))
        if (const auto* text = value.if_string())
            container.labels.emplace(std::string{key}, std::string{*text});
}

void read_state(const json::object& state, Container& container)
{
    container.status = status_of(text_at(state, "Status"));
    container.health = text_at(object_at(state, "Health"), "Status");
    if (container.health == "none")
        container.health.clear();
    container.started_at = text_at(state, "StartedAt");
    container.exit_code = small_number_at(state, "ExitCode");
    container.oom_killed = flag_at(state, "OOMKilled");
}

}  // namespace

std::string Container::label(std::string_view key) const
{
    const auto found = labels.find(std::string{key});
    return found == labels.end() ? std::string{} : found->second;
}

std::expected<Container, std::string> parse_container(std::string_view text)
{
    json::error_code error;
    const auto value = json::parse(text, error);
    const auto* object = error ? nullptr : value.if_object();
    if (!object)
        return std::unexpected{"the Engine's description of a container is not JSON"};
    Container container{.id = text_at(*object, "Id"), .name = text_at(*object, "Name")};
    if (container.id.empty() || container.name.empty())
        return std::unexpected{"the Engine's description of a container has no id or no name"};
    if (container.name.starts_with('/'))
        container.name.erase(0, 1);
    container.restart_count = small_number_at(*object, "RestartCount");
    const auto& host = object_at(*object, "HostConfig");
    container.restart_policy = text_at(object_at(host, "RestartPolicy"), "Name");
    container.network_mode = text_at(host, "NetworkMode");
    container.pid_mode = text_at(host, "PidMode");
    container.ipc_mode = text_at(host, "IpcMode");
    read_state(object_at(*object, "State"), container);
    read_config(object_at(*object, "Config"), container);
    container.addresses = addresses_of(object_at(object_at(*object, "NetworkSettings"), "Networks"));
    return container;
}

std::expected<std::vector<std::string>, std::string> parse_container_ids(std::string_view text)
{
    json::error_code error;
    const auto value = json::parse(text, error);
    const auto* list = error ? nullptr : value.if_array();
    if (!list)
        return std::unexpected{"the Engine's list of containers is not JSON"};
    std::vector<std::string> ids;
    for (const auto& each : *list)
        if (const auto* object = each.if_object())
            if (auto id = text_at(*object, "Id"); !id.empty())
                ids.push_back(std::move(id));
    return ids;
}

}  // namespace keepwell::docker
