#include "probes/container_exec.hpp"

#include "probes/deadline.hpp"
#include "probes/engine_stream.hpp"
#include "probes/environment.hpp"
#include "probes/printable.hpp"

#include <boost/json.hpp>

#include <unordered_map>

namespace keepwell {

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::size_t kept_output = 4096;
constexpr std::size_t most_left_behind = 1024;  // a bound, not an expectation
constexpr auto between_looks = 20ms;

// POSIX: not executable, and not found; the Engine's too, when it cannot start the program at all.
constexpr int cannot_execute = 126;
constexpr int not_found = 127;

// ---- what was left behind ----

// Programs that had not ended by their deadline, by where and what they are: the id of their exec. Without
// this a program that hangs would be started again with each attempt, until the container is full of them.
std::unordered_map<std::string, std::string>& left_behind()
{
    thread_local std::unordered_map<std::string, std::string> ids;
    return ids;
}

std::string key_of(const Engine& engine, const ContainerProgram& program)
{
    auto key = engine.host() + '\n' + program.container + '\n' + program.user;
    for (const auto& word : program.argv)
        key += '\n' + word;
    return key;
}

// ---- the calls ----

std::string to_create(const ContainerProgram& program)
{
    json::object body{{"AttachStdout", true}, {"AttachStderr", true}};
    body["Cmd"] = json::array(program.argv.begin(), program.argv.end());
    if (!program.environment.empty()) {
        json::array variables;
        for (const auto& [name, value] : program.environment)
            variables.emplace_back(std::string{name}.append("=").append(value));
        body["Env"] = std::move(variables);
    }
    if (!program.directory.empty())
        body["WorkingDir"] = program.directory;
    if (!program.user.empty())
        body["User"] = program.user;
    return json::serialize(body);
}

json::value parsed(const EngineReply& reply)
{
    boost::system::error_code error;
    auto value = json::parse(reply.body, error);
    if (error || !value.is_object())
        throw Failure{
            rejected(Reason::protocol_error, "what the engine says of a program is not understood")};
    return value;
}

[[noreturn]] void refuse(const EngineReply& reply)
{
    if (reply.status == 404 || reply.status == 409)  // there is none; it is stopped, or paused
        throw Failure{no_response(Reason::not_running, message_of(reply))};
    throw Failure{rejected(
        Reason::status_mismatch,
        "the engine answers with status " + std::to_string(reply.status) + ": " + message_of(reply))};
}

asio::awaitable<std::string> create(Engine engine, const ContainerProgram& program,
                                    Clock::time_point deadline)
{
    EngineRequest request{.method = "POST",
                          .path = "/containers/" + url_encoded(program.container) + "/exec",
                          .body = to_create(program)};
    const EngineReply reply = co_await engine.call(std::move(request), deadline);
    if (reply.status != 201)
        refuse(reply);
    const auto value = parsed(reply);
    const auto* id = value.get_object().if_contains("Id");
    if (!id || !id->is_string())
        throw Failure{rejected(Reason::protocol_error, "the engine gives the program no id")};
    co_return std::string{id->get_string()};
}

// Before it has started it does not run, and has no exit code.
struct ProgramState {
    bool runs = false;
    std::optional<int> exit_code{};
};

asio::awaitable<ProgramState> state_of(Engine engine, std::string id, Clock::time_point deadline)
{
    const EngineReply reply = co_await engine.call({.path = "/exec/" + url_encoded(id) + "/json"}, deadline);
    if (reply.status == 404)
        throw Failure{no_response(Reason::not_running, "the container has gone away meanwhile")};
    if (reply.status != 200)
        refuse(reply);
    const auto value = parsed(reply);
    const auto* running = value.get_object().if_contains("Running");
    const auto* code = value.get_object().if_contains("ExitCode");
    ProgramState state{.runs = running && running->is_bool() && running->get_bool()};
    if (!state.runs && code && code->is_int64())
        state.exit_code = static_cast<int>(code->get_int64());
    co_return state;
}

// ---- the run ----

// Its output, however much it is: the end is kept.
class Tail {
public:
    void add(std::string_view bytes)
    {
        tail_ += bytes.substr(bytes.size() - std::min(bytes.size(), 2 * kept_output));
        if (tail_.size() > 4 * kept_output)
            tail_.erase(0, tail_.size() - 2 * kept_output);
    }
    std::string text(const std::map<std::string, std::string>& environment) const
    {
        return last_of(without_secrets(printable(tail_), environment), kept_output);
    }

private:
    std::string tail_{};
};

asio::awaitable<void> attach(Engine engine, std::string id, std::shared_ptr<Tail> tail)
{
    EngineRequest request{.method = "POST",
                          .path = "/exec/" + url_encoded(id) + "/start",
                          .body = R"({"Detach":false,"Tty":false})"};
    FrameReader frames;
    const auto keep = [&tail](std::string_view output) { tail->add(output); };
    co_await engine.attach(std::move(request),
                           [&frames, &keep](std::string_view piece) { frames.feed(piece, keep); });
}

// The Engine notes the end a moment after the output has ended.
asio::awaitable<int> follow(Engine engine, std::string id, std::shared_ptr<Tail> tail)
{
    co_await attach(engine, id, tail);
    asio::steady_timer timer{co_await asio::this_coro::executor};
    for (;;) {
        const ProgramState state = co_await state_of(engine, id, Clock::time_point::max());
        if (state.exit_code)
            co_return *state.exit_code;
        timer.expires_after(between_looks);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<void> refuse_to_pile_up(Engine engine, std::string key, Clock::time_point deadline)
{
    const auto found = left_behind().find(key);
    if (found == left_behind().end())
        co_return;
    const auto id = found->second;
    bool runs = false;
    try {
        const ProgramState state = co_await state_of(engine, id, deadline);
        runs = state.runs;
    } catch (const Failure& failure) {
        if (failure.verdict.reason != Reason::not_running)
            throw;
    }
    if (runs)
        throw Failure{
            no_response(Reason::still_running,
                        "what was started before still runs in the container, and the API cannot end it")};
    left_behind().erase(key);
}

}  // namespace

asio::awaitable<ContainerProgramEnd> run_inside(Engine engine, ContainerProgram program,
                                                Clock::time_point deadline)
{
    const auto key = key_of(engine, program);
    co_await refuse_to_pile_up(engine, key, deadline);
    const std::string id = co_await create(engine, program, deadline);
    const auto tail = std::make_shared<Tail>();
    if (left_behind().size() == most_left_behind)
        left_behind().clear();
    left_behind()[key] = id;
    std::optional<int> code = co_await within(deadline, follow(engine, id, tail));
    if (code)
        left_behind().erase(key);
    co_return ContainerProgramEnd{code, tail->text(program.environment)};
}

bool never_started(int exit_code) { return exit_code == cannot_execute || exit_code == not_found; }

}  // namespace keepwell
