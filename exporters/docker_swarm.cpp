#include "exporters/docker_swarm.hpp"

#include <boost/json.hpp>

namespace keepwell {

namespace {

namespace json = boost::json;

constexpr auto id_label = "com.docker.swarm.service.id";
constexpr auto name_label = "com.docker.swarm.service.name";
constexpr int tries = 3;  // when somebody else changes the service at the same time

enum class Renewal : std::uint8_t { forced_update, stop, kill };

// A service as the Engine describes it, and what of it matters here.
struct Service {
    std::int64_t version = 0;
    json::object spec{};
    std::int64_t replicas = 0;  // 0: one on each node
    std::string restart_condition{};
    std::string update_state{};
};

json::value parsed(const std::string& body)
{
    boost::system::error_code error;
    auto value = json::parse(body, error);
    if (error || !value.is_object())
        throw Failure{
            rejected(Reason::protocol_error, "what the engine says of the service is not understood")};
    return value;
}

std::int64_t number_at(const json::value& root, std::string_view pointer)
{
    boost::system::error_code missing;
    const auto* found = root.find_pointer(pointer, missing);
    return found && found->is_int64() ? found->get_int64() : 0;
}

std::string text_at(const json::value& root, std::string_view pointer)
{
    boost::system::error_code missing;
    const auto* found = root.find_pointer(pointer, missing);
    return found && found->is_string() ? std::string{found->get_string()} : std::string{};
}

Service service_in(const std::string& body)
{
    const auto root = parsed(body);
    Service service{.version = number_at(root, "/Version/Index"),
                    .replicas = number_at(root, "/Spec/Mode/Replicated/Replicas"),
                    .restart_condition = text_at(root, "/Spec/TaskTemplate/RestartPolicy/Condition"),
                    .update_state = text_at(root, "/UpdateStatus/State")};
    boost::system::error_code missing;
    const auto* task = root.find_pointer("/Spec/TaskTemplate", missing);
    if (!task || !task->is_object())
        throw Failure{
            rejected(Reason::protocol_error, "what the engine says of the service is not understood")};
    service.spec = root.get_object().at("Spec").get_object();
    return service;
}

ActionOutcome not_started(std::string why)
{
    return {.result = ActionResult::not_started, .detail = std::move(why)};
}

ActionOutcome failed(const std::string& what, const EngineReply& reply)
{
    return {.result = ActionResult::failed,
            .detail = what + ": status " + std::to_string(reply.status) + ", " + message_of(reply)};
}

Renewal renewal_for(const Service& service, DockerVerb verb)
{
    if (verb == DockerVerb::update || service.replicas == 1 || service.restart_condition == "none")
        return Renewal::forced_update;
    // What ends well is not replaced where only failures are.
    const bool only_failures = service.restart_condition == "on-failure";
    return verb == DockerVerb::kill || only_failures ? Renewal::kill : Renewal::stop;
}

std::string forced(Service service)
{
    auto& task = service.spec["TaskTemplate"].get_object();
    const auto* before = task.if_contains("ForceUpdate");
    task["ForceUpdate"] = (before && before->is_int64() ? before->get_int64() : 0) + 1;
    return json::serialize(service.spec);
}

asio::awaitable<bool> is_manager(Engine engine, Clock::time_point deadline)
{
    const EngineReply info = co_await engine.call({.path = "/info"}, deadline);
    if (info.status != 200)
        co_return false;
    const auto root = parsed(info.body);
    boost::system::error_code missing;
    const auto* control = root.find_pointer("/Swarm/ControlAvailable", missing);
    co_return control && control->is_bool() && control->get_bool();
}

asio::awaitable<EngineReply> end_container(Engine engine, std::string id, Renewal how,
                                           Clock::time_point deadline)
{
    EngineRequest request{.method = "POST",
                          .path = "/containers/" + id + (how == Renewal::kill ? "/kill" : "/stop")};
    return engine.call(std::move(request), deadline);
}

asio::awaitable<ActionOutcome> end_task(Engine engine, Container container, Renewal how,
                                        Clock::time_point deadline)
{
    const EngineReply reply = co_await end_container(engine, container.id, how, deadline);
    // It had ended already: then Swarm is at it.
    if (reply.status == 204 || reply.status == 304 || reply.status == 404 || reply.status == 409)
        co_return ActionOutcome{.result = ActionResult::ok,
                                .detail = "ended the task " + container.name + "; Swarm replaces it"};
    co_return failed("the task " + container.name + " could not be ended", reply);
}

asio::awaitable<ActionOutcome> force_update(Engine engine, std::string path, std::string name,
                                            Service service, Clock::time_point deadline)
{
    EngineReply reply;
    for (int i = 0; i < tries; ++i) {
        EngineRequest request{.method = "POST",
                              .path = path + "/update?version=" + std::to_string(service.version),
                              .body = forced(service)};
        reply = co_await engine.call(std::move(request), deadline);
        if (reply.status == 200)
            co_return ActionOutcome{.result = ActionResult::ok,
                                    .detail = "forced an update of the Swarm service " + name};
        if (!message_of(reply).contains("out of sequence"))
            break;
        const EngineReply again = co_await engine.call({.path = path}, deadline);
        if (again.status != 200)
            co_return failed("the Swarm service " + name, again);
        service = service_in(again.body);
    }
    co_return failed("the Swarm service " + name + " could not be updated", reply);
}

}  // namespace

bool is_task(const Container& container) { return !container.label(id_label).empty(); }

asio::awaitable<ActionOutcome> renew_task(Engine engine, Container container, DockerVerb verb,
                                          Clock::time_point deadline)
{
    const auto name = container.label(name_label);
    const bool manager = co_await is_manager(engine, deadline);
    if (!manager)
        co_return not_started("it is a task of the Swarm service " + name +
                              ", which only a manager can renew, and this node is none");
    const auto path = "/services/" + url_encoded(container.label(id_label));
    const EngineReply reply = co_await engine.call({.path = path}, deadline);
    if (reply.status == 404)
        co_return not_started("the Swarm service " + name + " is gone");
    if (reply.status != 200)
        co_return failed("the Swarm service " + name, reply);
    Service service = service_in(reply.body);
    if (service.update_state == "updating" || service.update_state == "rollback_started")
        co_return not_started("an update of the Swarm service " + name + " is under way");
    const auto how = renewal_for(service, verb);
    if (how == Renewal::forced_update)
        co_return co_await force_update(engine, path, name, std::move(service), deadline);
    co_return co_await end_task(engine, std::move(container), how, deadline);
}

}  // namespace keepwell
