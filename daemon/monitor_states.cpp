#include "daemon/monitor.hpp"

#include <algorithm>
#include <utility>

namespace keepwell {

namespace {

// A probe that could not be attempted for so many intervals is not verified any more, whatever its retries.
constexpr int silent_intervals = 5;

std::size_t index(State state) { return static_cast<std::size_t>(state); }

}  // namespace

bool Monitor::unverified(ProbeId id) const
{
    const auto& notes = probe_notes_[id];
    const auto& timing = stack_.probes()[id].spec->timing;
    return notes.not_attempted >= timing.retries ||
           (notes.not_attempted > 0 &&
            (notes.silent_until - notes.silent_since) / silent_intervals >= timing.interval.value);
}

Monitor::Findings Monitor::examine(InstanceId id) const
{
    const auto& row = stack_.instances()[id];
    Findings found;
    bool startup_failed = false;
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
        if (stack_.probes()[each].spec->role == Role::startup) {
            found.started = found.started && probes_[each].health.state == State::healthy;
            startup_failed = startup_failed || probes_[each].health.state == State::unhealthy;
        }
    bool has_liveness = false;
    bool all_live = true;
    bool all_healthy = true;
    bool vouched = false;  // by a liveness probe that says unhealthy and is still being attempted
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        const auto role = stack_.probes()[each].spec->role;
        if (role == Role::gate)
            continue;
        const auto& notes = probe_notes_[each];
        const auto state = probes_[each].health.state;
        const bool passed = role == Role::startup && state == State::healthy;
        const bool held_back = role != Role::startup && !found.started && !startup_failed;
        const bool silent = !passed && unverified(each);
        found.probed = true;
        found.failing = found.failing || notes.failing;
        found.passing = found.passing || notes.passing;
        found.stale = found.stale || (!passed && !held_back && notes.counted < thawed_at_);
        found.unhealthy = found.unhealthy || (state == State::unhealthy && !silent);
        found.unverified = found.unverified || silent;
        found.pending = found.pending || state == State::starting;
        all_healthy = all_healthy && state == State::healthy;
        if (role != Role::liveness)
            continue;
        has_liveness = true;
        all_live = all_live && state == State::healthy;
        found.alive = found.alive && state != State::unhealthy;
        vouched = vouched || (state == State::unhealthy && !silent);
    }
    found.verified = found.alive || vouched;
    found.live = found.started && (has_liveness ? all_live : all_healthy);
    return found;
}

State Monitor::judge(InstanceId id, const Findings& found) const
{
    const auto& notes = instance_notes_[id];
    if (services_[stack_.instances()[id].service].maintenance)
        return State::maintenance;
    if (notes.paused)
        return State::paused;
    if (!found.probed || blind_ || found.stale)
        return State::unknown;
    if (found.unhealthy)
        return State::unhealthy;
    if (found.unverified)
        return State::unknown;
    return found.started && !found.pending ? State::healthy : State::starting;
}

std::size_t Monitor::needed(ServiceId id) const
{
    const auto& row = stack_.services()[id];
    const auto asked = static_cast<std::size_t>(std::max(row.spec->min_healthy, 1));
    return std::min(asked, std::max<std::size_t>(row.instance_count, 1));
}

State Monitor::judge(ServiceId id, const ServiceNotes& notes) const
{
    const auto count = stack_.services()[id].instance_count;
    const auto in = [&](State state) { return notes.states[index(state)]; };
    if (in(State::healthy) >= needed(id))
        return State::healthy;
    if (in(State::unhealthy) > 0)
        return State::unhealthy;
    if (in(State::starting) > 0)
        return State::starting;
    if (count > 0 && in(State::maintenance) == count)
        return State::maintenance;
    if (count > 0 && in(State::paused) == count)
        return State::paused;
    // Too few are healthy, and of the others nothing is known.
    return State::unknown;
}

// Brings an instance's view up to date with its probes, and its service's with it.
void Monitor::refresh(InstanceId id, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const auto found = examine(id);
    const bool stale = found.stale && !notes.paused;
    stale_ += static_cast<std::size_t>(stale) - static_cast<std::size_t>(notes.stale);
    if (notes.stale != stale || notes.verified != found.verified)
        mark(id);
    notes.stale = stale;
    notes.verified = found.verified;
    view.started_once = found.started;
    note_failing(id, found.failing && !notes.paused, found.passing && !found.failing && !notes.paused, now);
    if (std::exchange(notes.live, found.live) != found.live) {
        found.live ? void(notes.live_since = now) : void(notes.dipped = true);
        mark(id);
    }
    if (std::exchange(view.alive, found.alive) != found.alive) {
        if (!view.alive)
            view.unhealthy_since = now;
        mark(id);
    }
    const auto before = view.state;
    view.state = judge(id, found);
    const auto service = stack_.instances()[id].service;
    if (before != view.state) {
        view.since = now;
        --service_notes_[service].states[index(before)];
        ++service_notes_[service].states[index(view.state)];
        for (auto* sink : sinks_)
            sink->state_changed(id, before, view.state, now);
        mark(id);
    }
    note_serving(id);
    if (before != view.state)
        refresh_service(service, now);
}

void Monitor::refresh_all(Clock::time_point now)
{
    for (InstanceId id = 0; id < instances_.size(); ++id)
        refresh(id, now);
}

// Keeps the sums that tell whether anything that is watched still answers.
void Monitor::note_failing(InstanceId id, bool failing, bool well, Clock::time_point now)
{
    auto& notes = instance_notes_[id];
    if (failing == notes.failing && well == notes.well)
        return;
    const bool began = failing && !notes.failing;
    const bool all_before = everything_fails();
    failing_ += static_cast<std::size_t>(failing) - static_cast<std::size_t>(notes.failing);
    well_ += static_cast<std::size_t>(well) - static_cast<std::size_t>(notes.well);
    notes.failing = failing;
    notes.well = well;
    if (began) {
        notes.failing_since = now;
        need_proof(id);
    }
    if (everything_fails() && (began || !all_before))
        all_failing_since_ = now;
    if (everything_fails() != all_before)
        mark_attentive();
    mark(id);
}

// An instance serves while it is healthy and its last attempts were, too. A service with too few of those may
// be what its dependants suffer from, before there is a verdict on it.
void Monitor::note_serving(InstanceId id)
{
    auto& notes = instance_notes_[id];
    const bool serving = instances_[id].state == State::healthy && !notes.failing;
    if (std::exchange(notes.serving, serving) == serving)
        return;
    const auto service = stack_.instances()[id].service;
    auto& sums = service_notes_[service];
    const bool enough_before = sums.serving >= needed(service);
    sums.serving += serving ? 1 : std::size_t{0} - 1;
    const bool enough = sums.serving >= needed(service);
    if (enough_before == enough)
        return;
    if (!enough)
        sums.trouble_since = last_seen_well(id);
    mark_dependants(service);
}

// The begin of the last attempt before anything was wrong with it.
Clock::time_point Monitor::last_seen_well(InstanceId id) const
{
    const auto& row = stack_.instances()[id];
    auto failing = Clock::time_point::max();
    auto passing = Clock::time_point::min();
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        const auto& notes = probe_notes_[each];
        passing = std::max(passing, notes.last_ok);
        if (notes.failing)
            failing = std::min(failing, notes.last_ok);
    }
    return std::min(failing, passing);
}

void Monitor::refresh_service(ServiceId id, Clock::time_point now)
{
    auto& view = services_[id];
    auto& notes = service_notes_[id];
    const auto before = view.state;
    const auto after = judge(id, notes);
    if (before == after)
        return;
    view.state = after;
    view.since = now;
    if (stack_.services()[id].probed) {
        --service_states_[index(before)];
        ++service_states_[index(after)];
    }
    refresh_root_causes(id);
    for (auto* sink : sinks_)
        sink->service_changed(id, before, after, now);
    refresh_storm();
    mark_service(id);
    mark_dependants(id);
    if (after == State::unhealthy || after == State::starting)
        notes.was_down = true;
    if (after == State::healthy && std::exchange(notes.was_down, false))
        recovered(id, now);
}

// At least half of the services, and at least three, are unhealthy.
void Monitor::refresh_storm()
{
    const auto unhealthy = service_states_[index(State::unhealthy)];
    const bool before = std::exchange(storm_, unhealthy >= 3 && unhealthy * 2 >= probed_services_);
    if (storm_ || before)
        mark_attentive();
}

void Monitor::refresh_doubt(Clock::time_point now)
{
    const auto doubt = blind_ ? Doubt::blind : stale_ > 0 ? Doubt::frozen : Doubt::none;
    const auto& reason = blind_ ? blind_reason_ : freeze_reason_;
    if (doubt == doubt_ && (doubt == Doubt::none || reason == doubt_reason_))
        return;
    const bool changed = doubt != doubt_;
    doubt_ = doubt;
    doubt_reason_ = doubt == Doubt::none ? std::string{} : reason;
    mark_attentive();
    if (changed)
        for (auto* sink : sinks_)
            sink->doubted(in_doubt(), doubt_reason_, now);
}

// Its probes are judged anew from now on; what they saw so far is not forgotten.
void Monitor::begin_afresh(InstanceId id, Clock::time_point now)
{
    instances_[id].started_at = now;
    started_.push_back(id);
    const auto& row = stack_.instances()[id];
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        if (stack_.probes()[each].spec->role == Role::gate)
            continue;
        probes_[each].health = {};
        probe_notes_[each].not_attempted = 0;
    }
}

// It was really started: nothing that was seen before says anything about it any more.
void Monitor::begin_life(InstanceId id, Clock::time_point now)
{
    begin_afresh(id, now);
    const auto& row = stack_.instances()[id];
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
        probe_notes_[each].failing = probe_notes_[each].passing = false;
    auto& notes = instance_notes_[id];
    notes.born_at = now;
    notes.dipped = true;
    if (instances_[id].gate == Gate::failed)
        instances_[id].gate = Gate::none;
    mark(id);
}

// A service is back: whoever may have failed because of it is judged afresh. Only trouble that began after
// this service was last seen well counts as its doing, and a dependant's trouble begins once, until it is
// well again: so a service that comes and goes excuses a dependant once, not for ever.
void Monitor::recovered(ServiceId id, Clock::time_point now)
{
    const auto since = service_notes_[id].trouble_since;
    std::vector<bool> seen(services_.size());
    std::vector<ServiceId> open{id};
    while (!open.empty()) {
        const auto need = open.back();
        open.pop_back();
        for (const auto dependant : stack_.services()[need].dependants) {
            const auto& row = stack_.services()[dependant];
            const auto at = static_cast<std::size_t>(std::ranges::find(row.needs, need) - row.needs.begin());
            if (seen[dependant] || row.spec->depends_on[at].condition == Condition::completed)
                continue;
            seen[dependant] = true;
            open.push_back(dependant);
            for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
                relieve(each, since, now);
        }
    }
}

void Monitor::relieve(InstanceId id, Clock::time_point since, Clock::time_point now)
{
    const auto& notes = instance_notes_[id];
    if (!notes.failing || notes.failing_since < since || notes.acting)
        return;
    const auto& row = stack_.instances()[id];
    bool unhealthy = false;
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        auto& health = probes_[each].health;
        unhealthy =
            unhealthy || (health.state == State::unhealthy && stack_.probes()[each].spec->role != Role::gate);
        if (health.state != State::unhealthy)
            health.failing_streak = 0;
    }
    if (!unhealthy)
        return;
    begin_afresh(id, now);
    refresh(id, now);
}

// The deepest dependency that is not healthy, of this service and of all that depend on it.
void Monitor::refresh_root_causes(ServiceId id)
{
    std::vector<bool> seen(services_.size());
    std::vector<ServiceId> open{id};
    seen[id] = true;
    while (!open.empty()) {
        const auto next = open.back();
        open.pop_back();
        auto& view = services_[next];
        view.root_cause = view.state == State::unhealthy ? root_of(next) : std::nullopt;
        for (const auto dependant : stack_.services()[next].dependants)
            if (!seen[dependant]) {
                seen[dependant] = true;
                open.push_back(dependant);
            }
    }
}

}  // namespace keepwell
