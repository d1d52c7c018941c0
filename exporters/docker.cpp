#include "exporters/docker.hpp"

#include "exporters/docker_swarm.hpp"
#include "probes/container_exec.hpp"
#include "probes/own_container.hpp"
#include "probes/printable.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <stdexcept>

namespace keepwell {

namespace {

constexpr auto engines_grace = 10s;    // for containers that say nothing of their own
constexpr auto margin = 30s;           // that a stop may take beyond its grace
constexpr auto endless_grace = 10min;  // a negative one: the Engine would wait for ever
constexpr auto time_to_look = 10s;     // for calls that only look
constexpr auto time_to_die = 10s;      // after SIGKILL
constexpr auto between_looks = 100ms;
constexpr Duration time_of_exec = 60s;
constexpr std::string_view shares = "container:";  // how the mode of a shared namespace begins

// Ends the action with this outcome.
struct Ended : std::runtime_error {
    Ended(ActionResult why, const std::string& words) : std::runtime_error{words}, result{why} {}
    ActionResult result;
};

[[noreturn]] void leave_it(const std::string& why) { throw Ended{ActionResult::not_started, why}; }

Clock::time_point soon() { return Clock::now() + time_to_look; }

ActionOutcome done(std::string detail) { return {.result = ActionResult::ok, .detail = std::move(detail)}; }

// ---- may it be touched? ----

// Of what project and service it is, as Compose and Swarm note it; empty when they do not.
std::string project_of(const Container& container)
{
    const auto project = container.label("com.docker.compose.project");
    return project.empty() ? container.label("com.docker.stack.namespace") : project;
}

bool is_of_service(const Container& container, const ActionContext& context)
{
    const auto compose = container.label("com.docker.compose.service");
    if (!compose.empty())
        return compose == context.service;
    const auto swarm = container.label("com.docker.swarm.service.name");
    return swarm.empty() || swarm == context.service || swarm == context.project + "_" + context.service;
}

void check_identity(const Container& container, const ActionContext& context)
{
    const auto project = project_of(container);
    if (!context.project.empty() && !project.empty() && project != context.project)
        leave_it("container " + container.name + " is of project " + project + ", not of " + context.project);
    if (!context.service.empty() && !is_of_service(container, context))
        leave_it("container " + container.name + " is not of service " + context.service);
    if (container.label("com.docker.compose.oneoff") == "True")
        leave_it("container " + container.name + " is a one-off (docker compose run)");
}

// What was judged may have been replaced or started again since: by the Engine, a person, another keepwell.
void check_life(const Container& container, const ActionContext& context)
{
    if (!context.life.empty() && context.life != container.id + " " + container.started_at)
        leave_it("container " + container.name + " is not the one that was judged: it was started meanwhile");
}

void check_state(const Container& container)
{
    if (container.status == "removing")
        leave_it("container " + container.name + " is being removed");
    if (container.status == "paused")
        leave_it("container " + container.name + " is paused: `docker unpause " + container.name + "` first");
}

// The containers whose namespaces it shares, by id or name.
std::vector<std::string> parents_of(const Container& container)
{
    std::vector<std::string> parents;
    for (const auto* mode : {&container.network_mode, &container.pid_mode, &container.ipc_mode})
        if (mode->starts_with(shares))
            parents.push_back(mode->substr(shares.size()));
    return parents;
}

bool is_called(const Container& container, const std::string& id_or_name)
{
    return !id_or_name.empty() && (container.name == id_or_name || container.id.starts_with(id_or_name));
}

asio::awaitable<void> check_not_ours(Engine engine, const Container& container, const OwnContainer& self)
{
    const bool same_layer =
        !self.upper_directory.empty() && self.upper_directory == container.upper_directory;
    if (same_layer || (self.id && is_called(container, *self.id)))
        leave_it("container " + container.name + " is keepwell's own, or keepwell runs in its network");
    if (!self.id)
        co_return;
    const std::optional<Container> own = co_await inspect(engine, *self.id, soon());
    if (!own)
        co_return;
    for (const auto& parent : parents_of(*own))
        if (is_called(container, parent))
            leave_it("keepwell shares a namespace of container " + container.name);
}

// ---- namespaces of containers that are gone ----

[[noreturn]] void needs_recreate(const Container& container)
{
    auto words = "the container whose namespace " + container.name +
                 " shares is gone, so that it cannot be started again; make it anew: ";
    const auto project = container.label("com.docker.compose.project");
    const auto service = container.label("com.docker.compose.service");
    if (service.empty())
        words += "remove it and run it again";
    else
        words += "docker compose -p " + project + " up -d --force-recreate --no-deps " + service;
    throw Ended{ActionResult::needs_recreate, words};
}

// Before anything is stopped: what cannot be started again is better left as it is.
asio::awaitable<void> check_namespaces(Engine engine, const Container& container)
{
    for (const auto& name : parents_of(container)) {
        const std::optional<Container> parent = co_await inspect(engine, name, soon());
        if (!parent)
            needs_recreate(container);
        if (parent->status != "running")
            leave_it("it shares a namespace of container " + parent->name + ", which is " +
                     words_for(*parent) + ": that one first");
    }
}

// "No such container", said of another one than that which was to be started.
bool speaks_of_other(const EngineReply& reply, const Container& container)
{
    constexpr std::string_view words = "No such container: ";
    const auto message = message_of(reply);
    const auto found = message.rfind(words);
    return found != message.npos &&
           !is_called(container, message.substr(found + words.size(), container.id.size()));
}

// ---- the calls that do something ----

// Whether the Engine got to know of the call.
bool was_asked(const Verdict& verdict)
{
    const auto reason = verdict.reason;
    return reason != Reason::unreachable && reason != Reason::connection_refused &&
           verdict.outcome != Outcome::not_attempted;
}

// Nothing: no reply by the deadline.
asio::awaitable<std::optional<EngineReply>> post(Engine engine, const Container& container, std::string what,
                                                 Clock::time_point deadline)
{
    EngineRequest request{.method = "POST", .path = "/containers/" + url_encoded(container.id) + "/" + what};
    try {
        co_return co_await engine.call(std::move(request), deadline);
    } catch (const Failure& failure) {
        if (failure.verdict.reason != Reason::timeout)
            throw;
    }
    co_return std::nullopt;
}

// What a reply means that is no success.
[[noreturn]] void refuse(const EngineReply& reply, const Container& container)
{
    if (speaks_of_other(reply, container))
        needs_recreate(container);
    if (reply.status == 404)
        leave_it("there is no container " + container.name + " any more");
    if (reply.status == 409)
        leave_it("a conflict: " + message_of(reply));
    throw Ended{ActionResult::failed,
                "the engine answers with status " + std::to_string(reply.status) + ": " + message_of(reply)};
}

asio::awaitable<ActionOutcome> start(Engine engine, Container container, Clock::time_point deadline,
                                     std::string before)
{
    const std::optional<EngineReply> reply = co_await post(engine, container, "start", deadline);
    if (!reply)
        throw Ended{ActionResult::timed_out, before + "; its start does not end"};
    if (reply->status == 304)
        co_return done(before + "; it runs again already");
    if (reply->status != 204)
        refuse(*reply, container);
    co_return done(before + "; started");
}

// Until what ran when `before` was seen has ended; false when that takes too long. Nothing may be left of it.
asio::awaitable<bool> has_died(Engine engine, Container before)
{
    const auto deadline = Clock::now() + time_to_die;
    asio::steady_timer timer{co_await asio::this_coro::executor};
    while (Clock::now() < deadline) {
        const std::optional<Container> now = co_await inspect(engine, before.id, deadline);
        if (!now || now->status != "running" || now->started_at != before.started_at)
            co_return true;
        timer.expires_after(between_looks);
        co_await timer.async_wait(asio::use_awaitable);
    }
    co_return false;
}

asio::awaitable<ActionOutcome> try_to_kill_and_start(Engine engine, Container container, std::string before)
{
    const std::optional<EngineReply> reply =
        co_await post(engine, container, "kill", Clock::now() + time_to_die);
    const bool ended_already = reply && reply->status == 409;
    if (reply && reply->status != 204 && !ended_already)
        refuse(*reply, container);
    bool dead = false;
    if (reply)
        dead = co_await has_died(engine, container);
    if (!dead)
        throw Ended{ActionResult::timed_out, before + ", nor is it dead after SIGKILL"};
    co_return co_await start(engine, container, Clock::now() + margin, before + "; killed");
}

// An Engine that goes away after the kill leaves work half done.
asio::awaitable<ActionOutcome> kill_and_start(Engine engine, Container container, std::string before)
{
    try {
        co_return co_await try_to_kill_and_start(engine, std::move(container), before);
    } catch (const Failure& failure) {
        throw Ended{ActionResult::failed, before + "; " + failure.verdict.detail};
    }
}

std::chrono::nanoseconds grace_of(const Container& container, const DockerAction& action)
{
    if (action.stop_timeout)
        return action.stop_timeout->value;
    const auto own = container.stop_timeout.value_or(engines_grace);
    return own < 0s ? std::chrono::nanoseconds{endless_grace} : own;
}

Duration limit_of(const Container& container, const DockerAction& action)
{
    return action.timeout.value_or(Duration{grace_of(container, action) + margin});
}

asio::awaitable<ActionOutcome> restart(Engine engine, Container container, const DockerAction& action)
{
    std::string what = "restart";
    if (action.stop_timeout)
        what += "?t=" +
                std::to_string(std::chrono::ceil<std::chrono::seconds>(action.stop_timeout->value).count());
    const auto limit = limit_of(container, action);
    const std::optional<EngineReply> reply =
        co_await post(engine, container, what, Clock::now() + limit.value);
    if (!reply && container.auto_remove)
        throw Ended{ActionResult::timed_out, "not restarted in " + limit.text() +
                                                 "; not killed, because then it would be removed (--rm)"};
    if (!reply)
        co_return co_await kill_and_start(engine, container, "it did not stop in " + limit.text());
    if (reply->status != 204)
        refuse(*reply, container);
    co_return done("restarted");
}

asio::awaitable<ActionOutcome> kill(Engine engine, Container container)
{
    if (container.auto_remove)
        leave_it("killed it would be removed (--rm): it could not be started again");
    return kill_and_start(engine, std::move(container), "not asked to stop");
}

asio::awaitable<ActionOutcome> send_signal(Engine engine, Container container, const DockerAction& action)
{
    const auto what = "kill?signal=" + url_encoded(action.signal);
    const auto deadline = Clock::now() + action.timeout.value_or(Duration{time_to_look}).value;
    const std::optional<EngineReply> reply = co_await post(engine, container, what, deadline);
    if (!reply)
        throw Ended{ActionResult::timed_out, "the engine does not say whether the signal was sent"};
    if (reply->status != 204)
        refuse(*reply, container);
    co_return done("sent " + action.signal);
}

asio::awaitable<ActionOutcome> run_program(Engine engine, Container container, const DockerAction& action,
                                           const ActionContext& context)
{
    ContainerProgram program{.container = container.id};
    for (const auto& word : action.argv) {
        auto filled = fill_in(word, context);
        if (!filled)
            leave_it(filled.error());
        program.argv.push_back(*std::move(filled));
    }
    const auto limit = action.timeout.value_or(time_of_exec);
    ContainerProgramEnd end = co_await run_inside(engine, std::move(program), Clock::now() + limit.value);
    ActionOutcome outcome{.output = std::move(end.output)};
    if (!end.exit_code) {
        outcome.result = ActionResult::timed_out;
        outcome.detail = "not done after " + limit.text() + ", and the API cannot end it";
        co_return outcome;
    }
    outcome.result = *end.exit_code == 0 ? ActionResult::ok : ActionResult::failed;
    outcome.detail = "exit code " + std::to_string(*end.exit_code);
    if (const auto line = telling_line(outcome.output); *end.exit_code != 0 && !line.empty())
        outcome.detail += ": " + line;
    co_return outcome;
}

// ---- which of them ----

bool has_ended(const Container& container)
{
    return container.status == "created" || container.status == "exited" || container.status == "dead";
}

asio::awaitable<ActionOutcome> bring_back(Engine engine, Container container, const DockerAction& action)
{
    if (has_ended(container)) {
        const auto deadline = Clock::now() + limit_of(container, action).value;
        co_return co_await start(engine, container, deadline, "it was " + words_for(container));
    }
    if (action.action == DockerVerb::kill)
        co_return co_await kill(engine, container);
    co_return co_await restart(engine, container, action);
}

// Whether it is to be started again after it has ended.
bool ends_it(const DockerAction& action)
{
    return action.action != DockerVerb::signal && action.action != DockerVerb::exec;
}

asio::awaitable<ActionOutcome> do_it(Engine engine, Container container, const DockerAction& action,
                                     const ActionContext& context)
{
    if ((!ends_it(action) || is_task(container)) && container.status != "running")
        leave_it("container " + container.name + " does not run: " + words_for(container));
    if (action.action == DockerVerb::signal)
        return send_signal(engine, std::move(container), action);
    if (action.action == DockerVerb::exec)
        return run_program(engine, std::move(container), action, context);
    if (is_task(container)) {
        const auto deadline = Clock::now() + limit_of(container, action).value;
        return renew_task(engine, std::move(container), action.action, deadline);
    }
    if (action.action == DockerVerb::update)
        leave_it("container " + container.name + " is of no Swarm service");
    return bring_back(engine, std::move(container), action);
}

asio::awaitable<ActionOutcome> look_and_do(Engine engine, const DockerAction& action,
                                           const ActionContext& context, const OwnContainer& self)
{
    if (context.container.empty())
        leave_it("which container it runs in is not known");
    std::optional<Container> container = co_await inspect(engine, context.container, soon());
    if (!container)
        leave_it("there is no container " + context.container);
    check_identity(*container, context);
    check_life(*container, context);
    check_state(*container);
    co_await check_not_ours(engine, *container, self);
    if (ends_it(action))
        co_await check_namespaces(engine, *container);
    try {
        co_return co_await do_it(engine, *std::move(container), action, context);
    } catch (const Failure& failure) {
        if (!was_asked(failure.verdict) || failure.verdict.reason == Reason::not_running)
            throw;
        throw Ended{ActionResult::failed, "whether it was done is not known: " + failure.verdict.detail};
    }
}

}  // namespace

OwnContainer own_container() { return {own_container_id(), own_upper_directory()}; }

asio::awaitable<ActionOutcome> act(Engine engine, DockerAction action, ActionContext context,
                                   OwnContainer self)
{
    const auto started = Clock::now();
    ActionOutcome outcome;
    try {
        outcome = co_await look_and_do(std::move(engine), action, context, self);
    } catch (const Ended& ended) {
        outcome.result = ended.result;
        outcome.detail = ended.what();
    } catch (const Failure& failure) {
        outcome.detail = failure.verdict.detail;
    } catch (const std::exception& error) {
        outcome.detail = error.what();
    }
    outcome.took = Clock::now() - started;
    co_return outcome;
}

}  // namespace keepwell
