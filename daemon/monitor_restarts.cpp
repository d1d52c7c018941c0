#include "daemon/monitor.hpp"

#include "daemon/schedule.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace keepwell {

namespace {

// What an actuator and gates may take beyond their own deadlines before they count as lost.
constexpr Clock::duration report_margin = std::chrono::seconds{15};
// A pass of the gates is acted upon at once or not at all.
constexpr Clock::duration gate_freshness = std::chrono::seconds{5};

}  // namespace

std::vector<Request> Monitor::advance(Clock::time_point now)
{
    now = tick(now);
    while (!timers_.empty() && timers_.front().at <= now) {
        const auto timer = timers_.front();
        std::ranges::pop_heap(timers_, std::greater{});
        timers_.pop_back();
        if (instance_notes_[timer.instance].wake != timer.at)
            continue;
        instance_notes_[timer.instance].wake = Clock::time_point::max();
        mark(timer.instance);
    }
    while (!dirty_.empty()) {
        batch_.swap(dirty_);
        std::ranges::sort(batch_);
        for (const auto id : batch_) {
            instance_notes_[id].queued = false;
            decide(id, now);
        }
        batch_.clear();
    }
    while (!timers_.empty() && instance_notes_[timers_.front().instance].wake != timers_.front().at) {
        std::ranges::pop_heap(timers_, std::greater{});
        timers_.pop_back();
    }
    return std::exchange(requests_, {});
}

Clock::time_point Monitor::wake_at() const
{
    return timers_.empty() ? Clock::time_point::max() : timers_.front().at;
}

// The whole of the acting half for one instance: what has expired, what holds, and what is done about it.
void Monitor::decide(InstanceId id, Clock::time_point now)
{
    expire(id, now);
    auto& view = instances_[id];
    const auto& notes = instance_notes_[id];
    const auto& policy = policy_of(id);
    const auto healthy_since = notes.live ? std::optional{stable_since(id)} : std::nullopt;
    view.record = settle(std::move(view.record), policy, false, healthy_since, now);
    auto held = hold(situation_of(id), view.record, policy, now);
    if (held == Hold::quarantined)
        view.record = settle(std::move(view.record), policy, true, {}, now);
    if (held == Hold::none)
        held = proceed(id, now);
    else if (view.gate == Gate::passed || (view.gate == Gate::failed && held == Hold::healthy))
        view.gate = Gate::none;
    settle_signal(id, now);
    keep_slot(id, now);
    set_attentive(id, held != Hold::healthy);
    show_hold(id, held, now);
    if (notes.owes)
        pass_on_restart(stack_.instances()[id].service);
    set_timer(id, now);
}

// What was asked and never answered must not block for ever.
void Monitor::expire(InstanceId id, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    if (notes.acting && now >= notes.deadline)
        finish_action(id,
                      {.result = ActionResult::timed_out,
                       .detail = "the action never reported back",
                       .took = now - notes.raised_at},
                      now);
    if (view.gate == Gate::pending && now >= notes.deadline)
        gates_answered(id, false, "the gate probes never answered", now);
    if (view.gate == Gate::failed && now >= notes.gate_time)
        view.gate = Gate::none;
    if (view.gate == Gate::passed && now - notes.gate_time > gate_freshness)
        view.gate = Gate::none;
}

Situation Monitor::situation_of(InstanceId id)
{
    const auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const auto service = stack_.instances()[id].service;
    Situation situation{.unhealthy = !view.alive,
                        .cascade = view.cascade,
                        .mode = stack_.mode_of(service),
                        .maintenance = services_[service].maintenance,
                        .paused = notes.paused,
                        .in_flight = notes.acting,
                        .unhealthy_since = view.unhealthy_since,
                        .gate = view.gate};
    if (!situation.unhealthy && !situation.cascade)
        return situation;
    const bool unseen = notes.probed && view.alive && view.state == State::unknown;
    situation.self_doubt = blind_ || notes.stale || !notes.verified || unseen;
    if (situation.unhealthy && !situation.self_doubt && blind(id)) {
        situation.self_doubt = true;
        wait_for_proof(id);
    }
    std::vector<ServiceId> seen;
    const auto since = situation.unhealthy ? notes.failing_since : Clock::time_point::min();
    situation.need_unhealthy = blocker(service, since, seen).has_value();
    situation.storm = storm_ && !situation.need_unhealthy && treatable_root(service).has_value();
    const std::size_t own = notes.slot;
    situation.sibling_in_flight = service_notes_[service].slots > own;
    situation.stack_limit =
        slots_ - own >= static_cast<std::size_t>(std::max(stack_.spec().max_restarts_at_once, 1));
    return situation;
}

void Monitor::wait_for_proof(InstanceId id)
{
    auto& notes = instance_notes_[id];
    if (notes.proof_at != Clock::time_point::max() && !everything_fails())
        return;  // it only needs one more attempt
    proof_since_ = std::max({proof_since_, notes.failing_since, thawed_at_});
    if (!std::exchange(notes.waiting, true))
        waiting_for_proof_.push_back(id);
}

// Nothing holds: ask the gates, or, when they have passed or there are none, ask for the restart.
Hold Monitor::proceed(InstanceId id, Clock::time_point now)
{
    if (has_gates(id) && instances_[id].gate != Gate::passed) {
        ask_gates(id, now);
        return Hold::gate_pending;
    }
    raise(id, now);
    return hold(situation_of(id), instances_[id].record, policy_of(id), now);
}

void Monitor::ask_gates(InstanceId id, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    view.gate = Gate::pending;
    view.in_flight = true;
    notes.deadline = now + report_margin;
    const auto& row = stack_.instances()[id];
    for (const auto& probe : row.spec->probes)
        if (probe.role == Role::gate)
            notes.deadline += probe.timing.timeout.value;
    requests_.push_back({Request::Kind::ask_gates, id, context_of(id)});
}

void Monitor::raise(InstanceId id, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const auto& policy = policy_of(id);
    const auto service = stack_.instances()[id].service;
    const auto context = context_of(id);
    auto signal = view.signal.value_or(Signal{.since = now});
    signal = {context.cause, context.probe, context.reason, context.detail, signal.since, signal.times + 1};
    view.signal = signal;
    view.gate = Gate::none;
    const double random = static_cast<double>(random_() >> 11) * 0x1p-53;
    view.record = after_restart(std::move(view.record), policy, now, random);
    notes.raised_at = now;
    notes.cascade_signal = view.alive;
    notes.dipped = false;
    if (acts(service)) {
        notes.acting = view.in_flight = true;
        notes.acting_on = signal;
        notes.deadline = later(now + report_margin, policy.action_timeout());
    } else {
        // Whoever obeys the signal needs time, too: the next one comes after a start could have been seen.
        const auto starting = starting_time(id);
        view.record.not_before = std::max(view.record.not_before, now + starting);
        notes.slot_until = now + starting;
        view.cascade = false;
    }
    for (auto* sink : sinks_)
        sink->signal_raised(id, signal, now);
    if (!notes.acting)
        return;
    requests_.push_back({Request::Kind::act, id, context});
    for (auto* sink : sinks_)
        sink->action_started(id, context, now);
}

// A signal stands until the instance is well again, or until keepwell does not ask for the restart any more.
// A cascade's signal stands for an instance that is well: until it was seen restarting, or had the time to.
void Monitor::settle_signal(InstanceId id, Clock::time_point now)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    if (!view.signal)
        return;
    const auto service = stack_.instances()[id].service;
    const bool answered = notes.live && !view.in_flight && !view.cascade &&
                          (!notes.cascade_signal || notes.dipped || now >= notes.slot_until);
    const bool withdrawn = services_[service].maintenance || notes.paused ||
                           stack_.mode_of(service) == Mode::observe ||
                           (view.record.quarantined && !view.alive);
    if (!answered && !withdrawn)
        return;
    if (answered && !acts(service)) {
        notes.owes = true;
        notes.restarted_at = notes.raised_at;
    }
    const auto signal = *std::exchange(view.signal, std::nullopt);
    for (auto* sink : sinks_)
        sink->signal_cleared(id, signal, now);
}

// Restarts of a service are passed on once it is back as a whole: no instance of it is being restarted, or is
// about to be. Dependants over `restart: true` edges follow, unless they were started later.
void Monitor::pass_on_restart(ServiceId service)
{
    const auto& row = stack_.services()[service];
    if (row.probed && services_[service].state != State::healthy)
        return;
    auto restarted_at = Clock::time_point::min();
    for (auto id = row.first_instance; id < row.first_instance + row.instance_count; ++id) {
        const auto& notes = instance_notes_[id];
        const auto held = instances_[id].hold;
        if (notes.slot ||
            (instances_[id].cascade &&
             (held == Hold::healthy || held == Hold::sibling_in_flight || held == Hold::stack_limit)))
            return;
        if (owes_dependants(id))
            restarted_at = std::max(restarted_at, notes.restarted_at);
    }
    if (restarted_at == Clock::time_point::min())
        return;
    for (auto id = row.first_instance; id < row.first_instance + row.instance_count; ++id)
        if (owes_dependants(id))
            instance_notes_[id].owes = false;
    for (const auto dependant : row.dependants)
        owe_restart(dependant, service, restarted_at);
}

bool Monitor::owes_dependants(InstanceId id) const
{
    const bool back =
        instances_[id].state == State::healthy || !stack_.services()[stack_.instances()[id].service].probed;
    return instance_notes_[id].owes && back && !instances_[id].signal;
}

void Monitor::owe_restart(ServiceId dependant, ServiceId need, Clock::time_point restarted_at)
{
    const auto& row = stack_.services()[dependant];
    const auto at = static_cast<std::size_t>(std::ranges::find(row.needs, need) - row.needs.begin());
    if (!row.spec->depends_on[at].restart || stack_.mode_of(dependant) == Mode::observe ||
        services_[dependant].maintenance)
        return;
    for (auto id = row.first_instance; id < row.first_instance + row.instance_count; ++id) {
        if (instance_notes_[id].born_at > restarted_at)
            continue;
        instances_[id].cascade = true;
        instances_[id].cascade_from = stack_.services()[need].spec->name;
        mark(id);
    }
}

// A slot is taken from the moment the gates are asked until the instance is up again, or could have been.
void Monitor::keep_slot(InstanceId id, Clock::time_point now)
{
    const auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const auto service = stack_.instances()[id].service;
    if (!view.in_flight && notes.slot_until != Clock::time_point::min()) {
        const bool starting = view.state == State::starting || view.state == State::unknown;
        const bool over = acts(service) ? !starting : !view.signal;
        if (over || now >= notes.slot_until)
            notes.slot_until = Clock::time_point::min();
    }
    const bool slot = view.in_flight || notes.slot_until > now;
    if (std::exchange(notes.slot, slot) == slot)
        return;
    const std::size_t change = slot ? 1 : std::size_t{0} - 1;
    service_notes_[service].slots += change;
    slots_ += change;
    mark_attentive();
    mark_service(service);
}

void Monitor::show_hold(InstanceId id, Hold held, Clock::time_point now)
{
    auto& view = instances_[id];
    view.hold_detail = held == Hold::none || held == Hold::healthy ? std::string{} : explain(id, held);
    const auto before = std::exchange(view.hold, held);
    if (before == held)
        return;
    if (storm_ && is_given_up(before) != is_given_up(held))
        mark_attentive();
    for (auto* sink : sinks_)
        sink->held(id, before, held, view.hold_detail, now);
}

// When time alone will change something here.
void Monitor::set_timer(InstanceId id, Clock::time_point now)
{
    const auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const auto& policy = policy_of(id);
    auto soonest = Clock::time_point::max();
    const auto at = [&](Clock::time_point time) {
        if (time > now)
            soonest = std::min(soonest, time);
    };
    if (view.in_flight)
        at(notes.deadline);
    if (view.hold == Hold::gate_failed)
        at(notes.gate_time);
    if (view.hold == Hold::pending)
        at(later(view.unhealthy_since, policy.pending_for));
    if (view.hold == Hold::cooling_down) {
        at(view.record.not_before);
        if (!view.record.recent.empty())
            at(later(view.record.recent.front(), policy.within));
    }
    if (notes.slot)
        at(notes.slot_until);
    if (notes.live && view.record != RestartRecord{})
        at(later(stable_since(id), policy.stable_after));
    if (std::exchange(notes.wake, soonest) == soonest || soonest == Clock::time_point::max())
        return;
    timers_.push_back({soonest, id});
    std::ranges::push_heap(timers_, std::greater{});
}

ActionContext Monitor::context_of(InstanceId id) const
{
    const auto& row = stack_.instances()[id];
    const auto& view = instances_[id];
    const auto& service = *stack_.services()[row.service].spec;
    ActionContext context{.project = service.project.empty() ? stack_.spec().project : service.project,
                          .service = service.name,
                          .instance = row.spec->name,
                          .address = row.spec->address,
                          .container = row.spec->container};
    if (view.alive) {
        context.cause = "dependency " + view.cascade_from + " restarted";
        return context;
    }
    context.cause = "unhealthy";
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        const auto& probe = *stack_.probes()[each].spec;
        if (probe.role != Role::liveness || probes_[each].health.state != State::unhealthy)
            continue;
        context.probe = probe.name;
        context.reason = probes_[each].last.reason;
        context.detail = probes_[each].last.detail;
        break;
    }
    return context;
}

}  // namespace keepwell
