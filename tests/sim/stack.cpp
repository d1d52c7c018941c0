#include "tests/sim/world.hpp"

namespace keepwell::sim {

namespace {

Probe probe_named(std::string name, Role role, Timing timing = {})
{
    static const auto spec = std::make_shared<const ProbeSpec>(TcpSpec{});
    return {.name = std::move(name), .role = role, .spec = spec, .timing = timing};
}

Service service_named(std::string name, std::vector<Edge> depends_on = {}, int instances = 1)
{
    Service service{.name = std::move(name), .depends_on = std::move(depends_on)};
    for (int i = 1; i <= instances; ++i)
        service.instances.push_back(
            {.name = instances == 1 ? service.name : service.name + "-" + std::to_string(i),
             .probes = {probe_named("live", Role::liveness)}});
    service.restart.mode = Mode::act;
    service.restart.command = CommandAction{.argv = {"restart"}, .timeout = 30s};
    return service;
}

Service with_gate(Service service)
{
    for (auto& instance : service.instances)
        instance.probes.push_back(probe_named("config", Role::gate));
    return service;
}

Edge on(std::string service, bool restart = false)
{
    return {std::move(service), Condition::healthy, restart};
}

}  // namespace

StackSpec ten_services()
{
    auto redis = with_gate(service_named("redis"));
    auto postgres = service_named("postgres");
    postgres.instances[0].probes[0].timing.start_period = 30s;
    auto api = service_named("api", {on("redis"), on("postgres")}, 3);
    for (auto& instance : api.instances)
        instance.probes.push_back(probe_named("ready", Role::readiness));
    auto nginx = with_gate(service_named("nginx", {on("api")}));
    nginx.restart.pending_for = 20s;
    auto worker = service_named("worker", {on("redis", true)});
    worker.instances[0].probes[0].timing.interval = 20s;
    auto scheduler = service_named("scheduler", {on("postgres")});
    scheduler.restart.mode = Mode::signal;
    auto mail = service_named("mail");
    mail.instances[0].probes.push_back(probe_named("startup", Role::startup, {.interval = 5s, .retries = 6}));
    auto vpn = service_named("vpn");
    vpn.instances[0].probes[0].timing.retry_interval = 2s;
    auto indexer = service_named("indexer", {on("vpn", true)});
    auto search = service_named("search");
    search.restart.mode = Mode::observe;
    return {.project = "simulated",
            .mode = Mode::act,
            .max_restarts_at_once = 2,
            .services = {redis, postgres, api, nginx, worker, scheduler, mail, vpn, indexer, search}};
}

}  // namespace keepwell::sim
