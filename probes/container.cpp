#include "probes/container.hpp"

#include "probes/printable.hpp"

#include <boost/json.hpp>

namespace keepwell {

namespace {

namespace json = boost::json;

constexpr std::size_t kept_output = 4096;

const json::value* at(const json::value& root, std::string_view pointer)
{
    boost::system::error_code missing;
    return root.find_pointer(pointer, missing);
}

std::string text_at(const json::value& root, std::string_view pointer)
{
    const auto* found = at(root, pointer);
    return found && found->is_string() ? std::string{found->get_string()} : std::string{};
}

int number_at(const json::value& root, std::string_view pointer)
{
    const auto* found = at(root, pointer);
    boost::system::error_code unfit;
    const int number = found && found->is_number() ? found->to_number<int>(unfit) : 0;
    return unfit ? 0 : number;
}

bool flag_at(const json::value& root, std::string_view pointer)
{
    const auto* found = at(root, pointer);
    return found && found->is_bool() && found->get_bool();
}

std::map<std::string, std::string> labels_at(const json::value& root, std::string_view pointer)
{
    std::map<std::string, std::string> labels;
    const auto* found = at(root, pointer);
    if (!found || !found->is_object())
        return labels;
    for (const auto& [key, value] : found->get_object())
        if (value.is_string())
            labels.emplace(key, value.get_string());
    return labels;
}

// An absent one is null.
std::optional<std::chrono::seconds> stop_timeout_of(const json::value& root)
{
    const auto* found = at(root, "/Config/StopTimeout");
    if (!found || !found->is_number())
        return std::nullopt;
    return std::chrono::seconds{number_at(root, "/Config/StopTimeout")};
}

void read_health(const json::value& root, Container& container)
{
    container.health = text_at(root, "/State/Health/Status");
    if (container.health == "none")
        container.health.clear();
    container.failing_streak = number_at(root, "/State/Health/FailingStreak");
    const auto* log = at(root, "/State/Health/Log");
    if (log && log->is_array() && !log->get_array().empty())
        container.health_output =
            last_of(printable(text_at(log->get_array().back(), "/Output")), kept_output);
}

}  // namespace

std::string Container::label(const std::string& key) const
{
    const auto found = labels.find(key);
    return found == labels.end() ? std::string{} : found->second;
}

Container container_in(std::string_view text)
{
    boost::system::error_code error;
    const auto root = json::parse(text, error);
    Container container;
    if (!error)
        container.status = text_at(root, "/State/Status");
    if (container.status.empty())
        throw Failure{
            rejected(Reason::protocol_error, "what the engine says of the container is not understood")};
    container.id = text_at(root, "/Id");
    container.name = text_at(root, "/Name");
    if (container.name.starts_with('/'))
        container.name.erase(0, 1);
    container.image = text_at(root, "/Config/Image");
    container.exit_code = number_at(root, "/State/ExitCode");
    container.oom_killed = flag_at(root, "/State/OOMKilled");
    container.error = excerpt(text_at(root, "/State/Error"));
    container.started_at = text_at(root, "/State/StartedAt");
    container.restart_count = number_at(root, "/RestartCount");
    read_health(root, container);
    container.labels = labels_at(root, "/Config/Labels");
    container.stop_timeout = stop_timeout_of(root);
    container.network_mode = text_at(root, "/HostConfig/NetworkMode");
    container.pid_mode = text_at(root, "/HostConfig/PidMode");
    container.ipc_mode = text_at(root, "/HostConfig/IpcMode");
    container.auto_remove = flag_at(root, "/HostConfig/AutoRemove");
    container.upper_directory = text_at(root, "/GraphDriver/Data/UpperDir");
    return container;
}

asio::awaitable<std::optional<Container>> inspect(Engine engine, std::string name, Clock::time_point deadline)
{
    EngineRequest request{.path = "/containers/" + url_encoded(name) + "/json"};
    const EngineReply reply = co_await engine.call(std::move(request), deadline);
    if (reply.status == 404)
        co_return std::nullopt;
    if (reply.status != 200)
        throw Failure{rejected(
            Reason::status_mismatch,
            "the engine answers with status " + std::to_string(reply.status) + ": " + message_of(reply))};
    co_return container_in(reply.body);
}

std::string words_for(const Container& container)
{
    auto words = container.status;
    if (container.status == "exited" || container.status == "dead" || container.status == "restarting") {
        words += container.status == "exited" ? " with code " : " after exit code ";
        words += std::to_string(container.exit_code);
        if (container.oom_killed)
            words += ", killed for want of memory";
    }
    if (!container.error.empty())
        words += ": " + container.error;
    return words;
}

}  // namespace keepwell
