#pragma once

#include "daemon/restart.hpp"
#include "probes/spec.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

// What a probe's failures may lead to.
enum class Role : std::uint8_t {
    liveness,   // may cause a restart
    readiness,  // makes unhealthy, never causes a restart
    startup,    // holds the instance's other probes back until it has passed once, or is unhealthy
    gate,       // asked right before a restart; its failure forbids it
};
constexpr auto enum_names(Role)
{
    using enum Role;
    return std::array{Named{liveness, "liveness"}, Named{readiness, "readiness"}, Named{startup, "startup"},
                      Named{gate, "gate"}};
}

// When a probe is attempted, and how its outcomes count: Docker's words with Docker's meaning.
struct Timing {
    Duration interval = 10s;
    Duration timeout = 5s;
    int retries = 3;
    int successes = 1;
    Duration start_period{};
    Duration start_interval = 5s;
    Duration retry_interval{};

    static constexpr auto fields()
    {
        return std::tuple{
            optional("interval", &Timing::interval, "time from one attempt to the next")
                .between(10'000'000, 604'800'000'000'000),
            optional("timeout", &Timing::timeout, "deadline of one attempt")
                .between(1'000'000, 3'600'000'000'000),
            optional("retries", &Timing::retries, "failures in a row that make unhealthy").between(1, 1000),
            optional("successes", &Timing::successes, "successes in a row that make healthy")
                .between(1, 1000),
            optional("start_period", &Timing::start_period,
                     "failures this soon after a start do not count, until the first success"),
            optional("start_interval", &Timing::start_interval, "interval during the start period")
                .between(10'000'000, 604'800'000'000'000),
            optional("retry_interval", &Timing::retry_interval,
                     "interval after a failed attempt; 0: the interval"),
        };
    }
    Thresholds thresholds() const { return {retries, successes, start_period}; }
    bool operator==(const Timing&) const = default;
};

struct Probe {
    std::string name{};  // unique within its instance
    Role role = Role::liveness;
    SharedSpec spec{};
    Timing timing{};
    bool operator==(const Probe& other) const
    {
        return name == other.name && role == other.role && timing == other.timing && *spec == *other.spec;
    }
};

// When a dependency counts as there: Compose's conditions.
enum class Condition : std::uint8_t { started, healthy, completed };
constexpr auto enum_names(Condition)
{
    using enum Condition;
    return std::array{Named{started, "service_started"}, Named{healthy, "service_healthy"},
                      Named{completed, "service_completed_successfully"}};
}

// "depends on": the root is treated first; `restart` asks for a restart after the root's.
struct Edge {
    std::string service{};
    Condition condition = Condition::started;
    bool restart = false;
    bool operator==(const Edge&) const = default;
};

// One running copy of a service.
struct Instance {
    std::string name{};       // unique within the service; the service's name when there is only one
    std::string address{};    // what {address} stands for in its probes and commands; may be empty
    std::string container{};  // its name for the Docker Engine; empty: it runs in none
    std::string rest{};       // why it is paused, when it is: "stopped by hand", "done"
    std::vector<Probe> probes{};
    bool operator==(const Instance&) const = default;
};

struct Service {
    std::string name{};
    std::vector<Instance> instances{};
    std::vector<Edge> depends_on{};
    RestartPolicy restart{};
    int min_healthy = 1;         // the service is healthy while so many of its instances are
    bool all_addresses = false;  // `instances: all`: one instance for each address of the probes' host name
    std::string project{};       // of a service that was found in containers; empty: the stack's
    std::string origin{};        // where its probes come from, in words; empty: the configuration file
    bool native = false;         // its probes are its container's health check, asked by ourselves
    bool operator==(const Service&) const = default;
};

// Everything that is watched, as configured: a checked value (no duplicate names, no dangling or cyclic
// edges).
struct StackSpec {
    std::string project = "default";
    Mode mode = Mode::signal;
    int max_restarts_at_once = 2;  // in the whole stack
    std::vector<Service> services{};
    bool operator==(const StackSpec&) const = default;
};

using ServiceId = std::size_t;   // index into services(); stable until the next reload
using InstanceId = std::size_t;  // index into instances()
using ProbeId = std::size_t;     // index into probes()

// The spec with ids: services, instances and probes in one row each, in configuration order, and the edges as
// ids.
class Stack {
public:
    // Asserts what the configuration has checked: names unique, edges known and acyclic.
    explicit Stack(StackSpec spec);

    struct InstanceRow {
        ServiceId service = 0;
        const Instance* spec = nullptr;
        ProbeId first_probe = 0;
        std::size_t probe_count = 0;
    };
    struct ProbeRow {
        InstanceId instance = 0;
        const Probe* spec = nullptr;
    };
    struct ServiceRow {
        const Service* spec = nullptr;
        InstanceId first_instance = 0;
        std::size_t instance_count = 0;
        std::vector<ServiceId> needs{};       // direct dependencies, in the order of spec->depends_on
        std::vector<ServiceId> dependants{};  // direct
        bool probed = false;                  // has at least one probe that is not a gate
    };

    const StackSpec& spec() const { return *spec_; }
    std::span<const ServiceRow> services() const { return services_; }
    std::span<const InstanceRow> instances() const { return instances_; }
    std::span<const ProbeRow> probes() const { return probes_; }
    std::optional<ServiceId> find(std::string_view service) const;
    std::optional<InstanceId> find(ServiceId, std::string_view instance) const;
    std::optional<ProbeId> find_probe(InstanceId, std::string_view probe) const;
    Mode mode_of(ServiceId id) const { return services_[id].spec->restart.mode.value_or(spec_->mode); }

private:
    void add(const Service& service);

    std::shared_ptr<const StackSpec> spec_;  // rows point into it; shared, so that a Stack can be copied
    std::vector<ServiceRow> services_;
    std::vector<InstanceRow> instances_;
    std::vector<ProbeRow> probes_;
    std::unordered_map<std::string_view, ServiceId> by_name_;  // names live in *spec_
};

}  // namespace keepwell
