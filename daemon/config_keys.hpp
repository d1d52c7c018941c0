#pragma once

#include "daemon/alert.hpp"
#include "daemon/docker/settings.hpp"
#include "daemon/lease.hpp"
#include "daemon/receiver.hpp"
#include "daemon/shape.hpp"
#include "daemon/stack.hpp"

namespace keepwell {

// The keys of a configuration file, as field tables. Where a key cannot be read on its own (it inherits, or
// it may be written in several ways), its value is deferred: config.cpp reads it, and the table still
// documents it.

// An entry of `probes`: exactly one more key is a kind of probe.
struct ProbeKeys : Timing {
    std::string name{};
    Role role = Role::liveness;

    static constexpr bool holds_kind = true;
    static constexpr auto fields()
    {
        return std::tuple_cat(
            std::tuple{
                optional("name", &ProbeKeys::name,
                         "unique within the service; default: the kind, numbered when there are several"),
                optional("role", &ProbeKeys::role,
                         "`liveness` failures may cause a restart, `readiness` failures never do; `startup` "
                         "holds the "
                         "others back until it has passed or is unhealthy; a `gate` is asked right before a "
                         "restart and can "
                         "forbid it"),
            },
            Timing::fields());
    }
};

// The value of one key of `depends_on` in its long form, as in Compose.
struct DependencyKeys {
    Condition condition = Condition::started;
    bool restart = false;
    bool required = true;

    static constexpr auto fields()
    {
        return std::tuple{
            optional("condition", &DependencyKeys::condition, "when the dependency counts as there"),
            optional("restart", &DependencyKeys::restart,
                     "restart this service after the dependency was restarted"),
            optional("required", &DependencyKeys::required,
                     "`false`: the dependency may be missing from the file"),
        };
    }
};

enum class AllInstances : std::uint8_t { all };
constexpr auto enum_names(AllInstances) { return std::array{Named{AllInstances::all, "all"}}; }

// The value of one key of `services`. Its timing is the default of its probes.
struct ServiceKeys : Timing {
    Deferred<std::vector<ProbeKeys>> probes{};
    Deferred<Either<AllInstances, std::vector<std::string>, std::map<std::string, std::string>>> instances{};
    Deferred<Either<std::vector<std::string>, std::map<std::string, DependencyKeys>>> depends_on{};
    RestartPolicy restart{};
    int min_healthy = 1;

    static constexpr auto fields()
    {
        return std::tuple_cat(
            std::tuple{
                optional("probes", &ServiceKeys::probes, "how its instances are asked"),
                optional("instances", &ServiceKeys::instances,
                         "its running copies: a list of addresses, a mapping from names to addresses, or "
                         "`all` for "
                         "every address that the probes' host name resolves to; default: one, named like the "
                         "service"),
                optional("depends_on", &ServiceKeys::depends_on,
                         "services that are treated first: a list of names, or a mapping as in Compose"),
                optional("restart", &ServiceKeys::restart, "when and how its instances are restarted"),
                optional("min_healthy", &ServiceKeys::min_healthy,
                         "the service is healthy while so many of its instances are")
                    .between(1, 100'000),
            },
            Timing::fields());
    }
};

// The value of `defaults`.
struct DefaultKeys : Timing {
    RestartPolicy restart{};

    static constexpr auto fields()
    {
        return std::tuple_cat(std::tuple{optional("restart", &DefaultKeys::restart,
                                                  "restart rules of services that do not say otherwise")},
                              Timing::fields());
    }
};

// The whole file.
struct FileKeys {
    std::string project = "default";
    Mode mode = Mode::signal;
    int max_restarts_at_once = 2;
    std::string state_path{};
    DefaultKeys defaults{};
    Deferred<ProbeKeys> self_check{};
    Url external_url{};
    AlertTimes alert_after{};
    std::optional<AlertmanagerSettings> alertmanager{};
    std::vector<WebhookSettings> webhooks{};
    std::optional<DockerSettings> docker{};
    std::optional<LeaseSettings> lease{};
    Deferred<std::map<std::string, ServiceKeys>> services{};

    static constexpr auto fields()
    {
        return std::tuple{
            optional("project", &FileKeys::project, "name of the stack; the label `compose_project`"),
            optional("mode", &FileKeys::mode,
                     "`observe`: nothing but metrics and states; `signal`: say what should be restarted; "
                     "`act`: restart it"),
            optional("max_restarts_at_once", &FileKeys::max_restarts_at_once,
                     "restarts under way in the whole stack")
                .between(1, 1000),
            optional(
                "state_path", &FileKeys::state_path,
                "file in which budgets, quarantines and maintenance outlive keepwell; empty: memory only"),
            optional("defaults", &FileKeys::defaults,
                     "what holds for all services unless they say otherwise"),
            optional("self_check", &FileKeys::self_check,
                     "a probe of something that always answers: when everything fails and it does, too, the "
                     "fault is ours"),
            optional("external_url", &FileKeys::external_url,
                     "where people reach the status page; links in alerts begin with it, and there are none "
                     "without it"),
            optional("alert_after", &FileKeys::alert_after,
                     "how long something must last until its alert fires, by the alert's name"),
            optional(
                "alertmanager", &FileKeys::alertmanager,
                "who is told of alerts; for those who have no Prometheus that evaluates keepwell's rules"),
            optional("webhooks", &FileKeys::webhooks, "who is told of alerts, signals and actions"),
            optional("docker", &FileKeys::docker,
                     "services are found in the containers of a Docker Engine; `true` takes the defaults"),
            optional("lease", &FileKeys::lease,
                     "of several keepwells that watch the same, only the holder of this lease acts; without "
                     "it, in a Compose project, the one whose container's name comes first"),
            optional("services", &FileKeys::services, "the services, by name"),
        };
    }
};

}  // namespace keepwell
