#include "daemon/main/containers.hpp"

#include "daemon/docker/advice.hpp"
#include "daemon/docker/identity.hpp"
#include "daemon/docker/labels.hpp"
#include "daemon/log.hpp"
#include "probes/deadline.hpp"
#include "probes/own_container.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <charconv>

namespace keepwell {

namespace {

using docker::Container;

constexpr auto longest_look = std::chrono::seconds{30};  // at many containers of a busy Engine

const Container* own_container(const std::vector<Container>& containers, const std::string& id)
{
    const auto own =
        std::ranges::find_if(containers, [&](const Container& each) { return each.id.starts_with(id); });
    return own == containers.end() ? nullptr : &*own;
}

// Of the keepwells of one project the one with the first name acts.
bool another_goes_before(const std::vector<Container>& containers, const Container& own)
{
    const auto project = docker::identity_of(own).project;
    return std::ranges::any_of(containers, [&](const Container& each) {
        return each.running() && each.label(docker::self_label) == "true" && each.name < own.name &&
               docker::identity_of(each).project == project;
    });
}

docker::Scope scope_of(const DockerSettings& settings)
{
    if (std::ranges::find(settings.projects, "all") != settings.projects.end())
        return {.all = true};
    return {.projects = settings.projects};
}

docker::Found found_in(const std::vector<Container>& containers, const docker::Scope& scope,
                       const Container* own, docker::Addresses& addresses)
{
    const auto self = own ? docker::self_of(*own) : docker::Self{};
    auto found = docker::find_services(containers, scope, self, addresses);
    if (!scope.all && scope.projects.empty() && self.project.empty())
        found.notes.emplace_back(
            "keepwell runs in no container of a project: say which ones it should watch (docker.projects)");
    for (const auto& project : scope.projects)
        if (std::ranges::find(found.services, project, &docker::FoundService::project) ==
            found.services.end())
            found.notes.push_back("there is no container of a project " + project);
    return found;
}

// 1.41 is 141; 0 when the Engine does not say.
asio::awaitable<int> api_version(Engine engine)
{
    const auto reply = co_await engine.call({.path = "/version"});
    constexpr std::string_view key = "\"ApiVersion\":\"1.";
    const auto at = reply.body.find(key);
    int minor = 0;
    if (at != std::string::npos)
        std::from_chars(reply.body.data() + at + key.size(), reply.body.data() + reply.body.size(), minor);
    co_return minor ? 100 + minor : 0;
}

struct Look {
    std::vector<Container> containers{};
    int api = 0;
};

asio::awaitable<Look> look(Engine engine)
{
    Look look;
    look.containers = co_await docker::list_containers(engine);
    look.api = co_await api_version(engine);
    co_return look;
}

}  // namespace

std::expected<ContainersNow, std::string> look_at_containers(const DockerSettings& settings)
{
    asio::io_context loop{1};
    std::expected<Look, std::string> seen = std::unexpected{std::string{"the Docker Engine takes too long"}};
    const auto deadline = Clock::now() + longest_look;
    asio::co_spawn(loop, within(deadline, look(Engine{settings})),
                   [&](std::exception_ptr error, std::optional<Look> found) {
                       try {
                           if (error)
                               std::rethrow_exception(error);
                           if (found)
                               seen = *std::move(found);
                       } catch (const std::exception& problem) {
                           seen = std::unexpected{std::string{problem.what()}};
                       }
                       loop.stop();
                   });
    loop.run();
    if (!seen)
        return std::unexpected{seen.error()};
    const auto own_id = own_container_id();
    docker::Addresses addresses;
    ContainersNow now{.found =
                          found_in(seen->containers, scope_of(settings),
                                   own_id ? own_container(seen->containers, *own_id) : nullptr, addresses)};
    for (const auto& service : now.found.services)
        for (const auto& instance : service.instances)
            for (const auto& container : seen->containers)
                if (container.name == instance.container)
                    for (const auto& words : docker::advice_on(container, seen->api))
                        now.advice.push_back(container.name + ": " + words);
    return now;
}

Containers::Containers(asio::io_context& loop, DockerSettings settings, std::function<void()> changed)
    : settings_{std::move(settings)},
      changed_{std::move(changed)},
      own_id_{own_container_id()},
      discovery_{loop, Engine{settings_}, [this](const auto& containers) { see(containers); },
                 [](const std::string& trouble) {
                     if (trouble.empty())
                         log(LogLevel::info, "the Docker Engine answers");
                     else
                         log(LogLevel::warn, "the Docker Engine does not answer; what was seen last holds",
                             {{"error", trouble}});
                 }}
{
}

void Containers::see(const std::vector<Container>& containers)
{
    const auto* own = own_id_ ? own_container(containers, *own_id_) : nullptr;
    containers_ = containers;
    verdicts_.clear();
    for (const auto& each : containers)
        if (each.running())
            verdicts_[each.name] = each.health;
    for (const auto& [container, service] : unhealthy_)
        if (passes_inside_only(container))
            by_verdict_.insert(service);
    auto scope = scope_of(settings_);
    scope.by_verdict = by_verdict_;
    auto found = found_in(containers, scope, own, addresses_);
    const bool stands_by = own && another_goes_before(containers, *own);
    if (stands_by)
        found.notes.emplace_back("another keepwell of this project acts: this one watches and signals");
    note(found.notes);
    const bool same = found_ && *found_ == found && stands_by == stands_by_;
    stands_by_ = stands_by;
    found_ = std::move(found);
    if (!same)
        changed_();
}

bool Containers::passes_inside_only(const std::string& container) const
{
    const auto verdict = verdicts_.find(container);
    return verdict != verdicts_.end() && verdict->second == "healthy" && !was_well_.contains(container);
}

bool Containers::is_disputed(const std::string& container) const
{
    const auto verdict = verdicts_.find(container);
    return verdict != verdicts_.end() && (verdict->second == "healthy" || verdict->second == "starting") &&
           !was_well_.contains(container);
}

std::string Containers::reason_to_wait(const std::string& container) const
{
    if (!discovery_.in_touch())
        return "the Docker Engine is away, or was just now: first a look at it";
    for (const auto& service : found_ ? found_->services : std::vector<docker::FoundService>{})
        for (const auto& each : service.instances)
            if (each.container == container && !each.rest.empty())
                return "nothing is to be done to it: " + each.rest;
    return {};
}

std::string Containers::life_of(const std::string& container) const
{
    const auto found = lives_.find(container);
    return found == lives_.end() ? std::string{} : found->second;
}

void Containers::note_state(const std::string& service, const std::string& container, State state)
{
    if (container.empty())
        return;
    unhealthy_.erase(container);
    if (state == State::healthy)
        was_well_.insert(container);
    if (state != State::unhealthy)
        return;
    unhealthy_.emplace(container, service);
    if (passes_inside_only(container) && !by_verdict_.contains(service))
        see(std::vector{containers_});
}

void Containers::note(std::vector<std::string> notes)
{
    std::set<std::string> now{notes.begin(), notes.end()};
    for (const auto& each : now)
        if (!noted_.contains(each))
            log(LogLevel::warn, each);
    noted_ = std::move(now);
}

void Containers::tell(Monitor& monitor, Clock::time_point now)
{
    std::map<std::string, std::string> lives;
    for (const auto& service : found_ ? found_->services : std::vector<docker::FoundService>{}) {
        const auto id = monitor.stack().find(service.name);
        for (const auto& each : service.instances) {
            lives[each.container] = each.life;
            const auto instance = id ? monitor.stack().find(*id, each.name) : std::nullopt;
            if (!instance)
                continue;
            const auto before = lives_.find(each.container);
            if (before != lives_.end() && before->second != each.life && each.rest.empty())
                monitor.instance_started(*instance, now);
            const auto& view = monitor.instance(*instance);
            const bool ours = view.in_flight || view.left_by_us();
            monitor.instance_paused(*instance, !each.rest.empty() && !ours, now);
        }
    }
    lives_ = std::move(lives);
}

}  // namespace keepwell
