#include "daemon/monitor.hpp"

#include "daemon/schedule.hpp"

#include <algorithm>
#include <utility>

namespace keepwell {

namespace {

constexpr Clock::duration self_check_pause = std::chrono::seconds{10};

bool failed(Outcome outcome) { return outcome == Outcome::rejected || outcome == Outcome::no_response; }

}  // namespace

Monitor::Monitor(Stack stack, std::vector<Sink*> sinks, Clock::time_point now, std::uint64_t seed)
    : stack_{std::move(stack)},
      sinks_{std::move(sinks)},
      services_(stack_.services().size()),
      instances_(stack_.instances().size()),
      probes_(stack_.probes().size()),
      service_notes_(services_.size()),
      instance_notes_(instances_.size()),
      probe_notes_(probes_.size()),
      random_{seed},
      latest_{now}
{
    for (InstanceId id = 0; id < instances_.size(); ++id) {
        auto& view = instances_[id];
        const auto found = examine(id);
        view.since = view.started_at = now;
        view.started_once = found.started;
        view.state = judge(id, found);
        instance_notes_[id].probed = found.probed;
        instance_notes_[id].live = found.live;
        instance_notes_[id].live_since = now;
    }
    recount();
    for (ServiceId id = 0; id < services_.size(); ++id) {
        services_[id].since = now;
        services_[id].state = judge(id, service_notes_[id]);
    }
    recount();
}

// All sums, from what is known of each instance and service.
void Monitor::recount()
{
    failing_ = well_ = stale_ = slots_ = probed_services_ = 0;
    service_states_ = {};
    for (ServiceId id = 0; id < services_.size(); ++id) {
        auto& notes = service_notes_[id];
        notes.states = {};
        notes.serving = notes.slots = 0;
        if (stack_.services()[id].probed) {
            ++probed_services_;
            ++service_states_[static_cast<std::size_t>(services_[id].state)];
        }
    }
    for (InstanceId id = 0; id < instances_.size(); ++id) {
        const auto& notes = instance_notes_[id];
        auto& service = service_notes_[stack_.instances()[id].service];
        ++service.states[static_cast<std::size_t>(instances_[id].state)];
        service.serving += notes.serving;
        service.slots += notes.slot;
        slots_ += notes.slot;
        failing_ += notes.failing;
        well_ += notes.well;
        stale_ += notes.stale;
    }
}

Clock::time_point Monitor::tick(Clock::time_point now) { return latest_ = std::max(latest_, now); }

bool Monitor::wanted(ProbeId id) const
{
    const auto& row = stack_.probes()[id];
    if (row.spec->role == Role::gate || instance_notes_[row.instance].paused)
        return false;
    if (row.spec->role == Role::startup)
        return probes_[id].health.state != State::healthy;
    if (instances_[row.instance].started_once)
        return true;
    const auto& instance = stack_.instances()[row.instance];
    for (auto each = instance.first_probe; each < instance.first_probe + instance.probe_count; ++each)
        if (stack_.probes()[each].spec->role == Role::startup &&
            probes_[each].health.state == State::unhealthy)
            return true;
    return false;
}

bool Monitor::counts(ProbeId id, const ProbeResult& result) const
{
    const auto& row = stack_.probes()[id];
    return wanted(id) && result.started >= instances_[row.instance].started_at &&
           result.started >= thawed_at_ && result.took <= row.spec->timing.timeout.value + freeze_limit;
}

void Monitor::observe(ProbeId id, const ProbeResult& result, Clock::time_point now)
{
    now = tick(now);
    auto& view = probes_[id];
    const auto instance = stack_.probes()[id].instance;
    const auto before =
        std::tuple{view.health.state, probe_notes_[id].failing, probe_notes_[id].passing, unverified(id)};
    view.last = result;
    if (counts(id, result))
        take(id, result, now);
    else if (stack_.probes()[id].spec->role == Role::gate)
        view.health = keepwell::observe(view.health, result.outcome, {}, {.retries = 1});
    for (auto* sink : sinks_)
        sink->attempted(id, result, view.health);

    const auto after =
        std::tuple{view.health.state, probe_notes_[id].failing, probe_notes_[id].passing, unverified(id)};
    if (before != after || instance_notes_[instance].stale)
        refresh(instance, now);
    if (blind_ && well_ > 0)
        see_again(now);
    if (in_doubt())
        refresh_doubt(now);
}

// One result that says something about its instance. While we are blind, failures do not.
void Monitor::take(ProbeId id, const ProbeResult& result, Clock::time_point now)
{
    auto& notes = probe_notes_[id];
    const auto& row = stack_.probes()[id];
    if (result.outcome == Outcome::not_attempted) {
        if (notes.not_attempted++ == 0)
            notes.silent_since = now;
        notes.silent_until = now;
        return;
    }
    notes.not_attempted = 0;
    notes.counted = std::max(notes.counted, result.started);
    notes.failing = failed(result.outcome);
    notes.passing = !notes.failing;
    auto& health = probes_[id].health;
    if (!(blind_ && notes.failing))
        health =
            keepwell::observe(health, result.outcome, result.started - instances_[row.instance].started_at,
                              row.spec->timing.thresholds());
    auto& instance = instance_notes_[row.instance];
    if (notes.failing) {
        if (row.spec->role == Role::liveness && result.started >= instance.proof_at &&
            !std::exchange(instance.confirmed, true))
            mark(row.instance);
        return;
    }
    const auto service = stack_.instances()[row.instance].service;
    notes.last_ok = std::max(notes.last_ok, result.started);
    service_notes_[service].seen = std::max(service_notes_[service].seen, result.started);
    if (std::exchange(service_notes_[service].awaited, false))
        mark_dependants(service);
    proven(result.started);
}

// Our own eyes worked at that time: something that was asked then did answer.
void Monitor::proven(Clock::time_point eyes_worked_at)
{
    eyes_worked_at_ = std::max(eyes_worked_at_, eyes_worked_at);
    std::erase_if(unproven_, [&](InstanceId id) {
        auto& notes = instance_notes_[id];
        if (notes.failing && eyes_worked_at < std::max(notes.failing_since, thawed_at_))
            return false;
        notes.proof_at = eyes_worked_at;
        notes.unproven = false;
        return true;
    });
    for (const auto id : waiting_for_proof_) {
        instance_notes_[id].waiting = false;
        mark(id);
    }
    waiting_for_proof_.clear();
}

// It fails: is it us? That is settled by something that does answer, and by one more failure after that.
void Monitor::need_proof(InstanceId id)
{
    auto& notes = instance_notes_[id];
    notes.confirmed = false;
    notes.proof_at = Clock::time_point::max();
    if (!std::exchange(notes.unproven, true))
        unproven_.push_back(id);
}

// What failed while we were blind says nothing: those verdicts are dropped, and made anew.
void Monitor::see_again(Clock::time_point now)
{
    blind_ = false;
    for (ProbeId id = 0; id < probes_.size(); ++id) {
        if (!std::exchange(probe_notes_[id].failing, false))
            continue;
        auto& health = probes_[id].health;
        health.failing_streak = 0;
        if (health.state == State::unhealthy)
            health.state = State::starting;
    }
    refresh_all(now);
}

void Monitor::self_checked(const ProbeResult& result, Clock::time_point now)
{
    now = tick(now);
    self_checked_at_ = std::max(self_checked_at_, result.started);
    if (result.outcome == Outcome::ok) {
        proven(result.started);
        if (blind_)
            see_again(now);
    } else if (everything_fails()) {
        blind_reason_ = "everything fails, and so does the self-check: " + result.detail;
        if (!std::exchange(blind_, true))
            refresh_all(now);
    }
    refresh_doubt(now);
}

bool Monitor::wants_self_check(Clock::time_point now) const
{
    if (!everything_fails() && !blind_ && waiting_for_proof_.empty())
        return false;
    const auto since = everything_fails() ? std::max(all_failing_since_, thawed_at_) : proof_since_;
    return self_checked_at_ < since || now - self_checked_at_ >= self_check_pause;
}

void Monitor::frozen(Clock::duration late, Clock::time_point now)
{
    now = tick(now);
    thawed_at_ = now;
    freeze_reason_ = "keepwell stood still for " + rounded(late);
    for (InstanceId id = 0; id < instances_.size(); ++id) {
        auto& notes = instance_notes_[id];
        if (instances_[id].in_flight)  // its report may be waiting in the queue
            notes.deadline += late;
        if (notes.slot)
            notes.slot_until = later(notes.slot_until, late);
        if (notes.failing)
            need_proof(id);
        mark(id);
    }
    refresh_all(now);
    refresh_doubt(now);
}

void Monitor::maintain(ServiceId id, bool on, const std::string& note, Clock::time_point now)
{
    now = tick(now);
    auto& view = services_[id];
    view.maintenance_note = on ? note : "";
    if (std::exchange(view.maintenance, on) == on)
        return;
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        // Whoever worked on it is done: what is still failing is judged afresh.
        if (on)
            instances_[each].cascade = false;
        else if (instance_notes_[each].failing)
            begin_afresh(each, now);
        refresh(each, now);
        mark(each);
    }
    refresh_service(id, now);
}

void Monitor::resume(ServiceId id, Clock::time_point now)
{
    maintain(id, false, {}, now);
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        instances_[each].record = {};
        mark(each);
    }
}

void Monitor::instance_started(InstanceId id, Clock::time_point now)
{
    now = tick(now);
    begin_life(id, now);
    instances_[id].cascade = false;
    refresh(id, now);
}

void Monitor::instance_paused(InstanceId id, bool paused, Clock::time_point now)
{
    now = tick(now);
    if (std::exchange(instance_notes_[id].paused, paused) == paused)
        return;
    if (!paused)
        begin_afresh(id, now);
    refresh(id, now);
    mark(id);
}

void Monitor::gates_answered(InstanceId id, bool passed, const std::string& detail, Clock::time_point now)
{
    now = tick(now);
    auto& view = instances_[id];
    if (view.gate != Gate::pending)
        return;  // too late: it has been counted as no answer
    view.gate = passed ? Gate::passed : Gate::failed;
    view.gate_detail = detail;
    view.in_flight = false;
    instance_notes_[id].gate_time = passed ? now : now + gate_interval(id);
    mark(id);
}

void Monitor::action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point now)
{
    now = tick(now);
    if (instance_notes_[id].acting)
        finish_action(id, outcome, now);
    else if (outcome.result == ActionResult::ok)
        instance_started(id, now);  // given up on, but done after all
}

void Monitor::finish_action(InstanceId id, const ActionOutcome& outcome, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    notes.acting = view.in_flight = false;
    view.last_action = outcome;
    view.last_action_at = now;
    view.last_action_signal = std::exchange(notes.acting_on, {});
    view.record.not_before = later(view.record.not_before, now - notes.raised_at);  // counts from its end
    if (outcome.result == ActionResult::not_started)
        view.record = without_restart(std::move(view.record), notes.raised_at);
    if (outcome.result == ActionResult::needs_recreate)
        view.record.quarantined = true;  // no other try can help
    for (auto* sink : sinks_)
        sink->action_finished(id, outcome, now);
    if (outcome.result == ActionResult::ok) {
        begin_life(id, now);
        view.cascade = false;
        notes.owes = true;
        notes.restarted_at = now;
        notes.slot_until = now + starting_time(id);
        refresh(id, now);
    }
    mark(id);
}

State Monitor::stack_state() const
{
    const auto in = [&](State state) { return service_states_[static_cast<std::size_t>(state)]; };
    if (in(State::unhealthy) > 0)
        return State::unhealthy;
    if (in(State::starting) > 0)
        return State::starting;
    const auto fine = in(State::healthy) + in(State::maintenance);
    return fine > 0 && fine == probed_services_ ? State::healthy : State::unknown;
}

}  // namespace keepwell
