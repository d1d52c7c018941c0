#pragma once

#include "daemon/stack.hpp"

namespace keepwell::test {

// Small stacks for tests of what stands above the probes.
inline Probe tcp_probe(std::string name = "port", Role role = Role::liveness, Timing timing = {})
{
    auto spec = std::make_shared<const ProbeSpec>(TcpSpec{.address = {.host = "127.0.0.1", .port = 1}});
    return {.name = std::move(name), .role = role, .spec = std::move(spec), .timing = timing};
}

inline Service service(std::string name, std::vector<Edge> depends_on = {},
                       std::vector<Probe> probes = {tcp_probe()})
{
    return {.name = name,
            .instances = {{.name = name, .probes = std::move(probes)}},
            .depends_on = std::move(depends_on)};
}

inline ProbeResult result(Outcome outcome, Reason reason = Reason::none,
                          Clock::time_point started = Clock::time_point{1s}, std::string detail = {})
{
    return {.outcome = outcome,
            .reason = reason,
            .phase = Phase::connect,
            .detail = std::move(detail),
            .started = started,
            .took = 3ms};
}

}  // namespace keepwell::test
