#include "probes/docker.hpp"

#include "probes/container.hpp"
#include "probes/printable.hpp"

#include <algorithm>

namespace keepwell {

namespace {

std::string with_line(std::string text, const std::string& line)
{
    return line.empty() ? text : text + ": " + line;
}

// Docker calls what is paused or stopped `unhealthy`, because it is not checked: so the state comes first.
Verdict judge(const DockerSpec& spec, const Container& container)
{
    if (container.status != "running")
        return no_response(Reason::not_running, words_for(container));
    if (!spec.health || container.health.empty())
        return ok("running");
    if (container.health == "healthy")
        return ok("healthy");
    if (container.health == "starting")
        return rejected(Reason::starting_up, "its health check has not succeeded yet");
    const auto times = std::to_string(container.failing_streak);
    return rejected(Reason::unhealthy, with_line("unhealthy, its check failed " + times + " times in a row",
                                                 telling_line(container.health_output)));
}

asio::awaitable<std::optional<Container>> look_at(const DockerSpec& spec, Clock::time_point deadline)
{
    std::optional<Verdict> wrong;
    try {
        co_return co_await inspect(Engine{spec.engine}, spec.container, deadline);
    } catch (const Failure& failure) {
        wrong = blame_engine(failure.verdict);
    }
    throw Failure{*std::move(wrong)};
}

}  // namespace

std::string container_fault(const std::string& name)
{
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    };
    if (name.empty() || name.starts_with('.') || name.starts_with('-') || !std::ranges::all_of(name, fits))
        return "\"" + excerpt(name) + "\" cannot be the name of a container";
    return {};
}

std::vector<std::string> DockerSpec::faults() const
{
    std::vector<std::string> found;
    if (auto fault = container_fault(container); !fault.empty())
        found.push_back("container: " + fault);
    return found;
}

asio::awaitable<Verdict> probe(const DockerSpec& spec, Progress& progress)
{
    progress.enter(Phase::request);
    const std::optional<Container> container = co_await look_at(spec, progress.verdict_due());
    progress.enter(Phase::reply);
    if (!container)
        co_return no_response(Reason::not_running, "there is no container " + spec.container);
    progress.note("restart_count", container->restart_count);
    progress.note("oom_killed", container->oom_killed ? 1 : 0);
    progress.note("exit_code", container->exit_code);
    progress.keep_output(container->health_output);
    co_return judge(spec, *container);
}

}  // namespace keepwell
