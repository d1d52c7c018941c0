#include "daemon/main/containers.hpp"

#include "daemon/docker/identity.hpp"
#include "daemon/docker/labels.hpp"
#include "daemon/log.hpp"
#include "probes/own_container.hpp"

#include <algorithm>

namespace keepwell {

namespace {

using docker::Container;

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

}  // namespace

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

docker::Scope Containers::scope() const
{
    if (std::ranges::find(settings_.projects, "all") != settings_.projects.end())
        return {.all = true};
    return {.projects = settings_.projects};
}

void Containers::see(const std::vector<Container>& containers)
{
    const auto* own = own_id_ ? own_container(containers, *own_id_) : nullptr;
    const auto self = own ? docker::self_of(*own) : docker::Self{};
    auto found = docker::find_services(containers, scope(), self, addresses_);
    if (!scope().all && scope().projects.empty() && self.project.empty())
        found.notes.emplace_back(
            "keepwell runs in no container of a project: say which ones it should watch (docker.projects)");
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
            // What we failed to start again was not stopped by anybody else.
            const auto& action = monitor.instance(*instance).last_action;
            const bool ours =
                monitor.instance(*instance).in_flight || (action && action->result != ActionResult::ok);
            monitor.instance_paused(*instance, !each.rest.empty() && !ours, now);
        }
    }
    lives_ = std::move(lives);
}

}  // namespace keepwell
