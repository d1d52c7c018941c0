#include "daemon/monitor.hpp"

#include "daemon/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell {

// Whether it is still being looked at: where there are only startup probes that have passed, nobody looks
// again.
bool Monitor::watched(ServiceId id) const
{
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        const auto& instance = stack_.instances()[each];
        for (auto probe = instance.first_probe; probe < instance.first_probe + instance.probe_count; ++probe)
            if (wanted(probe))
                return true;
    }
    return false;
}

// The first dependency, in the order of the configuration, that may be what this service suffers from: not
// healthy, failing just now, or not seen well since the trouble began. A service that nothing probes is
// looked through. `seen` keeps services that several paths lead to from being asked twice.
std::optional<std::string> Monitor::blocker(ServiceId id, Clock::time_point failing_since,
                                            std::vector<ServiceId>& seen)
{
    const auto& row = stack_.services()[id];
    for (std::size_t i = 0; i < row.needs.size(); ++i) {
        const auto need = row.needs[i];
        if (row.spec->depends_on[i].condition == Condition::completed ||
            std::ranges::find(seen, need) != seen.end())
            continue;
        seen.push_back(need);
        const auto& name = stack_.services()[need].spec->name;
        if (!stack_.services()[need].probed) {
            if (auto why = blocker(need, failing_since, seen))
                return why;
            continue;
        }
        if (services_[need].state != State::healthy)
            return name + " is " + std::string{name_of(services_[need].state)};
        if (service_notes_[need].serving < needed(need))
            return name + " is failing";
        if (service_notes_[need].seen < failing_since && watched(need)) {
            service_notes_[need].awaited = true;
            return name + " has not been seen well since";
        }
    }
    return {};
}

// The deepest dependency that is not healthy; none when there is no such dependency.
std::optional<ServiceId> Monitor::root_of(ServiceId id) const
{
    if (stack_.services()[id].needs.empty())
        return {};
    struct Deepest {
        int depth = -1;  // not known yet
        ServiceId service = 0;
    };
    std::vector<Deepest> known(services_.size());
    const auto walk = [&](const auto& self, ServiceId service) -> const Deepest& {
        auto& deepest = known[service];
        if (deepest.depth >= 0)
            return deepest;
        deepest = {0, service};
        const auto& row = stack_.services()[service];
        for (std::size_t i = 0; i < row.needs.size(); ++i) {
            if (row.spec->depends_on[i].condition == Condition::completed)
                continue;
            const auto below = self(self, row.needs[i]);
            const bool ill =
                stack_.services()[row.needs[i]].probed && services_[row.needs[i]].state != State::healthy;
            if ((ill || below.service != row.needs[i]) && below.depth + 1 > deepest.depth)
                deepest = {below.depth + 1, below.service};
        }
        return deepest;
    };
    const auto& deepest = walk(walk, id);
    return deepest.service == id ? std::nullopt : std::optional{deepest.service};
}

// Nothing more will be done for it: what is unhealthy there waits for people.
bool Monitor::given_up(ServiceId id) const
{
    const auto& row = stack_.services()[id];
    bool some = false;
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        const auto& view = instances_[each];
        if (view.state == State::healthy)
            continue;
        if (!is_given_up(view.hold))
            return false;
        some = true;
    }
    return some;
}

// A dependency, near or far, that is not healthy, depends on nothing that is not, and is not given up on:
// what is to be restarted first when most of the stack fails. Services between that are healthy are looked
// through.
std::optional<ServiceId> Monitor::treatable_root(ServiceId id) const
{
    enum : std::uint8_t { unseen, sound, ill };
    std::vector<std::uint8_t> known(services_.size(), unseen);
    std::optional<ServiceId> root;
    const auto any_ill_below = [&](const auto& self, ServiceId service) -> bool {
        const auto& row = stack_.services()[service];
        bool found = false;
        for (std::size_t i = 0; i < row.needs.size(); ++i) {
            const auto need = row.needs[i];
            if (row.spec->depends_on[i].condition == Condition::completed)
                continue;
            if (known[need] == unseen) {
                const bool below = self(self, need);
                const bool fails = stack_.services()[need].probed && services_[need].state != State::healthy;
                known[need] = below || fails ? ill : sound;
                if (fails && !below && !root && !given_up(need))
                    root = need;
            }
            found = found || known[need] == ill;
        }
        return found;
    };
    any_ill_below(any_ill_below, id);
    return root;
}

// Is it us who cannot see? Not if something answered after this instance began to fail (when everything
// fails: the self-check, after the last one began to), and an attempt after that still failed.
bool Monitor::blind(InstanceId id) const
{
    return !instance_notes_[id].confirmed ||
           (everything_fails() && eyes_worked_at_ < std::max(all_failing_since_, thawed_at_));
}

// How long a restarted instance may take until there is a verdict on it; others wait no longer than a day.
Clock::duration Monitor::starting_time(InstanceId id) const
{
    const auto& row = stack_.instances()[id];
    Clock::duration startup{};
    Clock::duration others{};
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        const auto& probe = *stack_.probes()[each].spec;
        auto& longest = probe.role == Role::startup ? startup : others;
        if (probe.role != Role::gate)
            longest = std::max(longest, verdict_time(probe.timing));
    }
    return std::min<Clock::duration>(startup + others, std::chrono::hours{24});
}

bool Monitor::has_gates(InstanceId id) const
{
    const auto& probes = stack_.instances()[id].spec->probes;
    return std::ranges::any_of(probes, [](const Probe& each) { return each.role == Role::gate; });
}

// After a gate has failed it is asked again this much later.
Clock::duration Monitor::gate_interval(InstanceId id) const
{
    Clock::duration shortest = Clock::duration::max();
    for (const auto& probe : stack_.instances()[id].spec->probes)
        if (probe.role == Role::gate)
            shortest = std::min<Clock::duration>(shortest, probe.timing.interval);
    return shortest;
}

// For people: milliseconds matter below ten seconds.
std::string Monitor::rounded(Clock::duration length)
{
    using namespace std::chrono;
    if (length < 10s)
        return Duration{round<milliseconds>(length)}.text();
    return Duration{round<seconds>(length)}.text();
}

std::string Monitor::explain_doubt(InstanceId id) const
{
    const auto& notes = instance_notes_[id];
    if (blind_)
        return blind_reason_;
    if (notes.stale)
        return freeze_reason_ + "; not attempted since";
    if (!notes.verified || instances_[id].alive)
        return "its probes could not be attempted";
    if (everything_fails() && eyes_worked_at_ < std::max(all_failing_since_, thawed_at_))
        return "everything fails: the self-check must pass first";
    return notes.proof_at == Clock::time_point::max() ? "nothing has answered since it began to fail"
                                                      : "one more attempt must fail, now that others answer";
}

std::string Monitor::explain(InstanceId id, Hold held)
{
    const auto& view = instances_[id];
    const auto& policy = policy_of(id);
    const auto service = stack_.instances()[id].service;
    const auto* asked = acts(service) ? "restart" : "signal";
    switch (held) {
        case Hold::self_doubt: return explain_doubt(id);
        case Hold::maintenance: return services_[service].maintenance_note;
        case Hold::need_unhealthy: {
            std::vector<ServiceId> seen;
            return blocker(service, view.alive ? Clock::time_point::min() : instance_notes_[id].failing_since,
                           seen)
                .value_or("");
        }
        case Hold::storm: {
            const auto root = treatable_root(service);
            return fmt::format("{} of {} services are unhealthy; {} comes first",
                               service_states_[static_cast<std::size_t>(State::unhealthy)], probed_services_,
                               root ? stack_.services()[*root].spec->name : "a root");
        }
        case Hold::pending: return "until it has been unhealthy for " + policy.pending_for.text();
        case Hold::quarantined:
            return fmt::format("{} {}s within {} did not help", policy.max, asked, policy.within.text());
        case Hold::cooling_down:
            if (view.record.recent.empty())
                return "nothing came of the last try";
            if (latest_ < view.record.not_before)
                return fmt::format("{} from {} {} of {} within {}",
                                   rounded(view.record.not_before - view.record.recent.back()), asked,
                                   view.record.recent.size(), policy.max, policy.within.text());
            return fmt::format("all {} {}s within {} are used", policy.max, asked, policy.within.text());
        case Hold::stack_limit: return fmt::format("at most {} at once", stack_.spec().max_restarts_at_once);
        case Hold::gate_failed: return view.gate_detail;
        default: return {};
    }
}

void Monitor::mark(InstanceId id)
{
    if (!std::exchange(instance_notes_[id].queued, true))
        dirty_.push_back(id);
}

void Monitor::mark_attentive()
{
    for (const auto id : attention_)
        mark(id);
}

void Monitor::mark_service(ServiceId id)
{
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
        mark(each);
}

void Monitor::mark_dependants(ServiceId id)
{
    for (const auto dependant : stack_.services()[id].dependants) {
        const auto& row = stack_.services()[dependant];
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            if (instance_notes_[each].place)
                mark(each);
        if (!row.probed)
            mark_dependants(dependant);
    }
}

void Monitor::set_attentive(InstanceId id, bool attentive)
{
    auto& place = instance_notes_[id].place;
    if (place.has_value() == attentive)
        return;
    if (attentive) {
        place = attention_.size();
        attention_.push_back(id);
        return;
    }
    attention_[*place] = attention_.back();
    instance_notes_[attention_[*place]].place = place;
    attention_.pop_back();
    place.reset();
}

}  // namespace keepwell
