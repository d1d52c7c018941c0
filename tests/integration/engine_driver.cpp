// The client of the Docker Engine and the docker action by themselves, for tests with a real Engine:
//   engine_driver act JSON      does what the keys say (see action_in) and prints the outcome as JSON
//   engine_driver events PATH   prints the objects of a stream, a line each, until it ends or fails
//   engine_driver own           prints the container that this runs in, and its layer
// The Engine is that of DOCKER_HOST.
#include "exporters/docker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <iostream>

using namespace keepwell;
namespace json = boost::json;

namespace {

std::string text_of(const json::object& given, std::string_view key)
{
    const auto* value = given.if_contains(key);
    return value ? std::string{value->as_string()} : std::string{};
}

std::optional<Duration> duration_of(const json::object& given, std::string_view key)
{
    const auto text = text_of(given, key);
    return text.empty() ? std::nullopt : std::optional{Duration::parse(text).value()};
}

DockerAction action_in(const json::object& given)
{
    DockerAction action{.stop_timeout = duration_of(given, "stop_timeout"),
                        .timeout = duration_of(given, "timeout")};
    for (const auto& [verb, name] : enum_names(DockerVerb{}))
        if (name == text_of(given, "action"))
            action.action = verb;
    if (given.contains("signal"))
        action.signal = text_of(given, "signal");
    if (const auto* argv = given.if_contains("argv"))
        for (const auto& word : argv->as_array())
            action.argv.emplace_back(word.as_string());
    return action;
}

ActionContext context_in(const json::object& given)
{
    return {.project = text_of(given, "project"),
            .service = text_of(given, "service"),
            .container = text_of(given, "container")};
}

int run_action(const std::string& text)
{
    const auto given = json::parse(text).as_object();
    asio::io_context loop;
    ActionOutcome outcome;
    asio::co_spawn(loop, act(Engine{}, action_in(given), context_in(given)),
                   [&](std::exception_ptr, ActionOutcome end) { outcome = std::move(end); });
    loop.run();
    std::cout << json::serialize(
                     json::object{{"result", name_of(outcome.result)},
                                  {"detail", outcome.detail},
                                  {"output", outcome.output},
                                  {"seconds", std::chrono::duration<double>(outcome.took).count()}})
              << '\n';
    return 0;
}

int print_events(const std::string& path)
{
    asio::io_context loop;
    int status = 0;
    asio::co_spawn(
        loop, Engine{}.stream(path, [](std::string_view object) { std::cout << object << std::endl; }),
        [&](std::exception_ptr error) {
            try {
                if (error)
                    std::rethrow_exception(error);
            } catch (const Failure& failure) {
                std::cout << to_string(failure.verdict.reason) << ": " << failure.what() << std::endl;
                status = 1;
            }
        });
    loop.run();
    return status;
}

}  // namespace

int main(int count, char** words)
{
    const std::vector<std::string> argv{words + 1, words + count};
    if (argv.size() == 2 && argv[0] == "act")
        return run_action(argv[1]);
    if (argv.size() == 2 && argv[0] == "events")
        return print_events(argv[1]);
    if (argv.size() == 1 && argv[0] == "own") {
        const auto own = own_container();
        std::cout << own.id.value_or("") << '\n' << own.upper_directory << '\n';
        return 0;
    }
    return 100;
}
