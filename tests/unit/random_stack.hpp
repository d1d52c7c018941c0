#pragma once

#include <rapidcheck.h>

#include "tests/unit/life.hpp"

#include <vector>

namespace keepwell::test {

// --- random stacks ---

inline rc::Gen<Duration> lasting(int least, int most)
{
    return rc::gen::map(rc::gen::inRange(least, most + 1),
                        [](int seconds) { return Duration{seconds * 1s}; });
}

inline Probe random_probe(const std::string& name, Role role)
{
    auto probe = a_probe(name, role);
    probe.timing.retries = *rc::gen::inRange(1, 4);
    probe.timing.successes = *rc::gen::weightedElement<int>({{5, 1}, {1, 2}});
    probe.timing.interval = *lasting(1, 20);
    if (*rc::gen::inRange(0, 4) == 0)
        probe.timing.start_period = *lasting(1, 30);
    return probe;
}

inline Service random_service(int number, bool gates)
{
    Service service{.name = "s" + std::to_string(number)};
    const int instances = *rc::gen::weightedElement<int>({{4, 1}, {2, 2}, {1, 3}});
    const auto one_in = [](int count) { return *rc::gen::inRange(0, count) == 0; };
    std::vector<Probe> probes;
    if (!one_in(10))
        probes.push_back(random_probe("live", Role::liveness));
    if (one_in(3))
        probes.push_back(random_probe("ready", Role::readiness));
    if (one_in(5))
        probes.push_back(random_probe("startup", Role::startup));
    if (gates && one_in(3))
        probes.push_back(random_probe("gate", Role::gate));
    for (int i = 1; i <= instances; ++i)
        service.instances.push_back({.name = service.name + "-" + std::to_string(i), .probes = probes});
    for (int need = 0; need < number; ++need)
        if (one_in(3))
            service.depends_on.push_back(
                {"s" + std::to_string(need),
                 *rc::gen::element(Condition::started, Condition::healthy, Condition::completed), one_in(2)});
    service.min_healthy = *rc::gen::inRange(1, 4);
    auto& policy = service.restart;
    policy.mode = *rc::gen::weightedElement<Mode>({{1, Mode::observe}, {3, Mode::signal}, {6, Mode::act}});
    if (!one_in(8))
        policy.command = CommandAction{.argv = {"restart"}, .timeout = *lasting(1, 60)};
    policy.pending_for = *lasting(0, 10);
    policy.backoff = *lasting(0, 20);
    policy.backoff_max = policy.backoff.value * *rc::gen::inRange(1, 8);
    policy.max = *rc::gen::inRange(1, 4);
    policy.within = *lasting(60, 3600);
    policy.stable_after = policy.within;  // so that no budget is forgotten within its window
    return service;
}

inline StackSpec any_stack(bool gates)
{
    StackSpec spec{.max_restarts_at_once = *rc::gen::inRange(1, 4)};
    const int count = *rc::gen::inRange(1, 7);
    for (int i = 0; i < count; ++i)
        spec.services.push_back(random_service(i, gates));
    return spec;
}

inline std::string shown(const Service& service)
{
    const auto& policy = service.restart;
    std::string text = service.name + " x" + std::to_string(service.instances.size()) + " min " +
                       std::to_string(service.min_healthy) + " [";
    for (const auto& probe : service.instances[0].probes)
        text += probe.name + " every " + probe.timing.interval.text() + " x" +
                std::to_string(probe.timing.retries) + "/" + std::to_string(probe.timing.successes) +
                " start " + probe.timing.start_period.text() + ", ";
    for (const auto& edge : service.depends_on)
        text += "on " + edge.service + " " + std::string{name_of(edge.condition)} +
                (edge.restart ? " restart, " : ", ");
    return text + std::string{name_of(*policy.mode)} + (policy.command ? " command " : " ") +
           (policy.command ? policy.command->timeout.text() : "") + ", for " + policy.pending_for.text() +
           ", backoff " + policy.backoff.text() + " to " + policy.backoff_max.text() + ", max " +
           std::to_string(policy.max) + " within " + policy.within.text() + "]\n";
}

}  // namespace keepwell::test

namespace keepwell {

inline void showValue(const StackSpec& spec, std::ostream& out)
{
    out << "at most " << spec.max_restarts_at_once << " at once\n";
    for (const auto& service : spec.services)
        out << test::shown(service);
}

}  // namespace keepwell

namespace keepwell::test {

// Drawn as one value, so that a counterexample shows it as one line; shrinks to fewer and plainer services.
inline StackSpec random_stack(bool gates)
{
    return *rc::gen::exec([gates] { return any_stack(gates); });
}

// --- random lives ---

struct Step {
    int kind = 0;     // what happens, see Drive::step
    int target = 0;   // to which probe, instance or service (modulo their number)
    int detail = 0;   // how
    int seconds = 0;  // and then so much time passes
};

inline void showValue(const Step& step, std::ostream& out)
{
    out << '{' << step.kind << ',' << step.target << ',' << step.detail << ',' << step.seconds << '}';
}

inline rc::Gen<std::vector<Step>> random_steps(int ok_weight)
{
    const auto kind = rc::gen::weightedElement<int>({{ok_weight, 0},
                                                     {40, 1},
                                                     {6, 2},
                                                     {10, 3},
                                                     {10, 4},
                                                     {2, 5},
                                                     {2, 6},
                                                     {1, 7},
                                                     {1, 8},
                                                     {1, 9},
                                                     {1, 10},
                                                     {3, 11}});
    const auto step = rc::gen::build<Step>(
        rc::gen::set(&Step::kind, kind), rc::gen::set(&Step::target, rc::gen::inRange(0, 64)),
        rc::gen::set(&Step::detail, rc::gen::inRange(0, 16)),
        rc::gen::set(&Step::seconds,
                     rc::gen::weightedElement<int>({{6, 0}, {6, 1}, {4, 5}, {2, 20}, {1, 300}})));
    return rc::gen::resize(600, rc::gen::container<std::vector<Step>>(step));
}

}  // namespace keepwell::test
