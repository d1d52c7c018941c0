#include "daemon/explain.hpp"

#include "daemon/kinds.hpp"
#include "daemon/schedule.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

Clock::duration detection(const Timing& timing, Clock::duration attempt)
{
    auto due = Clock::time_point{} + timing.interval.value;  // it broke right after the attempt at zero
    for (int failures = 1;; ++failures) {
        const auto ended = due + attempt;
        if (failures >= timing.retries)
            return ended.time_since_epoch();
        due = next_due(due, ended, timing, false, true);
    }
}

// Rounded for people: detection times need no nanoseconds.
std::string text(Clock::duration length)
{
    return Duration{std::chrono::round<std::chrono::milliseconds>(length)}.text();
}

std::string explain_probe(const Probe& probe)
{
    const auto& timing = probe.timing;
    std::string lines = fmt::format("  {} ({}, {})", probe.name, kind_of(*probe.spec), name_of(probe.role));
    if (probe.role != Role::gate)
        lines += " asks " + text_of(*probe.spec);
    if (probe.role == Role::gate)
        return lines +
               fmt::format(
                   ": asked right before a restart, for {} at most; unless it is ok, nothing is restarted\n",
                   timing.timeout.text());
    lines += fmt::format(": every {}, timeout {}", timing.interval.text(), timing.timeout.text());
    if (timing.retry_interval > Duration{})
        lines += fmt::format(", {} after a failure", timing.retry_interval.text());
    lines +=
        fmt::format("; unhealthy after {} failure{} in a row, healthy after {} success{}\n", timing.retries,
                    timing.retries == 1 ? "" : "s", timing.successes, timing.successes == 1 ? "" : "es");
    if (timing.start_period > Duration{})
        lines += fmt::format(
            "      for {} after a start failures do not count (attempts every {}) until the first success\n",
            timing.start_period.text(), timing.start_interval.text());
    if (const auto* heartbeat = std::get_if<HeartbeatSpec>(probe.spec.get()))
        lines += fmt::format("      that it reports in no more is noticed within {} of its last report\n",
                             text(heartbeat->max_age.value + slowest_detection_of_refusal(timing)));
    else
        lines += fmt::format("      a crash (refused connection) is noticed within {}, a hang within {}\n",
                             text(slowest_detection_of_refusal(timing)), text(slowest_detection(timing)));
    if (timing.timeout > timing.interval)
        lines += "      note: the timeout is longer than the interval, so a hang makes attempts rarer\n";
    switch (probe.role) {
        case Role::liveness: lines += "      its failure may cause a restart\n"; break;
        case Role::readiness:
            lines += "      its failure makes the service unhealthy, but never causes a restart\n";
            break;
        case Role::startup:
            lines +=
                "      holds the other probes back until it has passed once after a start, or is unhealthy\n";
            break;
        case Role::gate: break;
    }
    return lines;
}

std::string backoffs(const RestartPolicy& policy)
{
    std::string list;
    std::chrono::nanoseconds wait = policy.backoff;
    for (int restart = 1; restart < policy.max && restart <= 6; ++restart) {
        list += (list.empty() ? "" : ", ") + text(std::min(wait, policy.backoff_max.value));
        wait = std::min(wait * 2, policy.backoff_max.value);
    }
    return policy.max > 7 ? list + ", ..." : list;
}

std::string words_of(const RestartPolicy& policy)
{
    if (!policy.docker)
        return fmt::format("`{}`", fmt::join(policy.command->argv, " "));
    switch (policy.docker->action) {
        case DockerVerb::restart: return "Docker, as with `docker restart`";
        case DockerVerb::kill: return "Docker, as with `docker kill` and `docker start`";
        case DockerVerb::signal: return "a signal, " + policy.docker->signal;
        case DockerVerb::update: return "a forced update of its Swarm service";
        case DockerVerb::exec:
            return fmt::format("`{}` in its container", fmt::join(policy.docker->argv, " "));
    }
    return "?";
}

std::string explain_restart(const Stack& stack, ServiceId id)
{
    const auto& row = stack.services()[id];
    const auto& policy = row.spec->restart;
    const auto mode = stack.mode_of(id);
    std::string lines = "When it is unhealthy by a liveness probe:\n";
    if (mode == Mode::observe)
        return lines + "  nothing is done but metrics and states (mode observe)\n";
    const auto& probes = row.spec->instances.front().probes;
    if (std::ranges::none_of(probes, [](const Probe& each) { return each.role == Role::liveness; }))
        return lines + "  it has none: it is never restarted, but after a dependency that asks for it\n";
    if (policy.pending_for > Duration{})
        lines += fmt::format("  it must have been so for {}\n", policy.pending_for.text());
    for (const auto need : row.needs)
        lines += fmt::format("  not while {} is not healthy: the root is treated first\n",
                             stack.services()[need].spec->name);
    lines += mode == Mode::act && policy.can_act()
                 ? fmt::format("  it is restarted by {} (given {} to end)\n", words_of(policy),
                               policy.action_timeout().text())
                 : std::string{
                       "  a restart signal is raised: metrics, log, webhooks, /api/v1/signals; nothing is "
                       "touched\n"};
    lines += fmt::format("  at most {} times within {}", policy.max, policy.within.text());
    if (policy.max > 1)
        lines += fmt::format(", at least {} apart (±{:.0f} %)", backoffs(policy), policy.jitter * 100);
    lines +=
        fmt::format("; then quarantine until `keepwell resume {}` or until it is healthy\n", row.spec->name);
    lines += fmt::format("  all is forgotten once it has been healthy for {}\n", policy.stable_after.text());
    for (const auto dependant : row.dependants)
        for (const auto& edge : stack.services()[dependant].spec->depends_on)
            if (edge.service == row.spec->name && edge.restart)
                lines += fmt::format("  once it is healthy again, {} is restarted too (restart: true)\n",
                                     stack.services()[dependant].spec->name);
    return lines;
}

}  // namespace

Clock::duration slowest_detection(const Timing& timing) { return detection(timing, timing.timeout.value); }
Clock::duration slowest_detection_of_refusal(const Timing& timing) { return detection(timing, {}); }

std::string explain(const Stack& stack, ServiceId id)
{
    const auto& row = stack.services()[id];
    std::string page =
        fmt::format("{}: {} instance{}, mode {}\n\nProbes{}:\n", row.spec->name, row.instance_count,
                    row.instance_count == 1 ? "" : "s", name_of(stack.mode_of(id)),
                    row.spec->origin.empty() ? "" : ", from " + row.spec->origin);
    if (row.instance_count == 0 || row.spec->instances.front().probes.empty())
        page += "  none: its state stays unknown, and it is never restarted but in a cascade\n";
    else
        for (const auto& probe : row.spec->instances.front().probes)
            page += explain_probe(probe);
    return page + "\n" + explain_restart(stack, id);
}

}  // namespace keepwell
