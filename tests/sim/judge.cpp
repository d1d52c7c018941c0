#include "tests/sim/judge.hpp"

#include "daemon/schedule.hpp"

#include <algorithm>

namespace keepwell::sim {

Judge::Judge(const World& world, const Stack& stack)
    : world_{world},
      stack_{stack},
      causes_(stack.probes().size()),
      streaks_(stack.probes().size()),
      books_(stack.instances().size()),
      services_(stack.services().size(), State::starting),
      maintenance_(stack.services().size())
{
}

void Judge::check(bool kept, InstanceId id, Time now, const char* promise)
{
    ++checks_;
    if (kept)
        return;
    if (++violations_ > 20)
        return;
    const auto days = std::chrono::duration<double, std::ratio<86400>>(now.time_since_epoch()).count();
    const auto& view = monitor_->instance(id);
    std::printf("VIOLATION on day %.5f: %s: %s (state %s, hold %s: %s)\n", days,
                stack_.instances()[id].spec->name.c_str(), promise, std::string{name_of(view.state)}.c_str(),
                std::string{name_of(view.hold)}.c_str(), view.hold_detail.c_str());
}

void Judge::remember(std::uint64_t what, std::uint64_t id, Time now)
{
    for (const auto each : {what, id, static_cast<std::uint64_t>(now.time_since_epoch().count())})
        fingerprint_ = (fingerprint_ ^ each) * 0x100000001b3;
}

// --- what is heard ---

void Judge::attempted(ProbeId id, const ProbeResult& result, const Health& after)
{
    ++counts_.attempts;
    const auto instance = stack_.probes()[id].instance;
    if (result.started < monitor_->instance(instance).started_at)
        return;
    auto& streak = streaks_[id];
    if (result.outcome == Outcome::ok) {
        streak = {.healthy = streak.healthy};
    } else if (result.outcome != Outcome::not_attempted) {
        streak.since = std::min(streak.since, result.started);
        streak.own = streak.own || causes_[id] == Cause::own || causes_[id] == Cause::overload;
        streak.dependency = streak.dependency || causes_[id] == Cause::dependency;
    }
    const bool healthy = after.state == State::healthy;
    if (streak.healthy == healthy)
        return;
    streak.healthy = healthy;
    const auto& row = stack_.instances()[instance];
    bool live = true;
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
        live = live && (stack_.probes()[each].spec->role != Role::liveness || streaks_[each].healthy);
    live_changed(instance, live ? result.started : never, result.started);
}

// Healthy for stable_after: all restarts before are forgiven.
void Judge::live_changed(InstanceId id, Time since, Time now)
{
    auto& book = books_[id];
    if (book.live_since != never && now - book.live_since >= service_of(id).restart.stable_after.value)
        book.raised.clear();
    if (since == never || book.live_since == never)  // else it goes on
        book.live_since = since;
    if (since != never)
        book.quarantined = false;
}

void Judge::state_changed(InstanceId id, State before, State after, Time now)
{
    check(before == books_[id].state && before != after, id, now, "every change of a state is told once");
    books_[id].state = after;
    if (after != State::starting && after != State::unknown)
        books_[id].restarted_at = Time::min();
    remember(1 + static_cast<std::uint64_t>(after), id, now);
}

void Judge::service_changed(ServiceId id, State before, State after, Time now)
{
    check(before == services_[id] && before != after, stack_.services()[id].first_instance, now,
          "every change of a service's state is told once");
    services_[id] = after;
}

void Judge::held(InstanceId id, Hold before, Hold after, const std::string&, Time now)
{
    auto& book = books_[id];
    check(before == book.hold && before != after, id, now, "every change of a hold is told once");
    book.hold = after;
    book.held_since = now;
    book.quarantined = after == Hold::quarantined;
    ++counts_.holds[static_cast<std::size_t>(after)];
    counts_.quarantines += after == Hold::quarantined;
    remember(10 + static_cast<std::uint64_t>(after), id, now);
}

void Judge::doubted(bool on, const std::string&, Time) { counts_.doubts += on; }

void Judge::signal_cleared(InstanceId id, const Signal&, Time now)
{
    check(books_[id].signal, id, now, "only a raised signal is cleared");
    books_[id].signal = false;
    remember(40, id, now);
}

void Judge::signal_raised(InstanceId id, const Signal& signal, Time now)
{
    ++counts_.signals;
    counts_.cascades += signal.probe.empty();
    remember(41, id, now);
    check_cause(id, signal, now);
    check_limits(id, now);
    check_budget(id, now);
    auto& book = books_[id];
    book.signal = true;
}

void Judge::action_started(InstanceId id, const ActionContext&, Time now)
{
    ++counts_.actions;
    auto& book = books_[id];
    check(!book.acting, id, now, "never two actions on one instance");
    book.acting = true;
}

void Judge::action_finished(InstanceId id, const ActionOutcome& outcome, Time now)
{
    auto& book = books_[id];
    check(book.acting, id, now, "only an action under way can end");
    book.acting = false;
    if (outcome.result != ActionResult::ok)
        return;
    ++counts_.succeeded;
    book.restarted_at = now;
    begin_life(id, now);
    owe_cascades(id, now);
}

void Judge::gates_answered(InstanceId id, bool passed, Time now)
{
    ++counts_.gates;
    books_[id].gate_passed_at = passed ? now : Time::min();
}

void Judge::restarted_outside(InstanceId id, Time now) { begin_life(id, now); }

void Judge::reattach(const Monitor& monitor, bool with_memory_only, Time now)
{
    monitor_ = &monitor;
    if (!with_memory_only)
        return;
    for (auto& streak : streaks_)
        streak = {};
    for (InstanceId id = 0; id < books_.size(); ++id) {
        live_changed(id, never, now);  // what was forgiven before the restart stays forgiven
        books_[id] = {.raised = std::move(books_[id].raised), .born_at = books_[id].born_at};
    }
    std::ranges::fill(services_, State::starting);
}

void Judge::resumed(ServiceId id)
{
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        books_[each].raised.clear();
        books_[each].quarantined = false;
    }
}

void Judge::maintained(ServiceId id, bool on)
{
    maintenance_[id] = on;
    const auto& row = stack_.services()[id];
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
        books_[each].owed = false;
}

void Judge::begin_life(InstanceId id, Time now)
{
    const auto& row = stack_.instances()[id];
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each)
        streaks_[each] = {};
    live_changed(id, never, now);
    books_[id].born_at = now;
    books_[id].owed = false;
}

void Judge::owe_cascades(InstanceId id, Time now)
{
    const auto service = stack_.instances()[id].service;
    for (const auto dependant : stack_.services()[service].dependants) {
        const auto& row = stack_.services()[dependant];
        for (const auto& edge : row.spec->depends_on)
            for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
                if (edge.restart && edge.service == stack_.services()[service].spec->name) {
                    books_[each].root_restarted_at = now;
                    books_[each].owed = !maintenance_[dependant];
                }
    }
}

// --- what is promised of every restart ---

void Judge::check_cause(InstanceId id, const Signal& signal, Time now)
{
    const auto& row = stack_.instances()[id];
    if (signal.probe.empty()) {
        check(books_[id].root_restarted_at > books_[id].born_at, id, now,
              "a cascade needs a restart of a dependency");
        return;
    }
    const auto probe = stack_.find_probe(id, signal.probe);
    check(probe && stack_.probes()[*probe].spec->role == Role::liveness, id, now,
          "only liveness asks for a restart");
    const auto& streak = streaks_[*probe];
    check(streak.since != never, id, now, "a restart needs a probe that fails");
    check(streak.own || streak.dependency, id, now,
          "no healthy instance is restarted for a fault of our own");
    if (streak.own)
        return;
    for (const auto need : stack_.services()[row.service].needs)
        check(world_.silent_since(need) > streak.since, id, now,
              "no dependant is restarted for its root's fault");
}

void Judge::check_limits(InstanceId id, Time now)
{
    const auto service = stack_.instances()[id].service;
    const auto& row = stack_.services()[service];
    const auto mode = stack_.mode_of(service);
    check(mode != Mode::observe, id, now, "never in mode observe");
    check(!maintenance_[service] && !monitor_->service(service).maintenance, id, now, "never in maintenance");
    check(!world_.body(id).paused, id, now, "never while paused");
    check(!books_[id].quarantined, id, now, "never in quarantine");
    check(books_[id].state != State::unknown, id, now, "never in doubt");
    for (const auto need : row.needs)
        check(monitor_->service(need).state == State::healthy, id, now,
              "never while a dependency is not healthy");
    std::size_t acting = 0;
    for (const auto& book : books_)
        acting += book.acting;
    check(acting < static_cast<std::size_t>(stack_.spec().max_restarts_at_once), id, now,
          "never more restarts at once than allowed");
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
        const auto& book = books_[each];
        const bool starting = each != id && book.state == State::starting && book.restarted_at + 45s > now;
        check(!book.acting && !starting, id, now, "never two restarts of one service in flight");
    }
    const bool gated = std::ranges::any_of(stack_.instances()[id].spec->probes,
                                           [](const Probe& probe) { return probe.role == Role::gate; });
    check(!gated || books_[id].gate_passed_at + 5s >= now, id, now, "never without its gates' pass");
    books_[id].gate_passed_at = Time::min();
}

void Judge::check_budget(InstanceId id, Time now)
{
    const auto& policy = service_of(id).restart;
    auto& book = books_[id];
    live_changed(id, book.live_since, now);
    std::erase_if(book.raised, [&](Time each) { return now - each >= policy.within.value; });
    check(book.raised.size() < static_cast<std::size_t>(policy.max), id, now, "never over budget");
    check(book.raised.empty() || now - book.raised.back() >= policy.backoff.value, id, now,
          "never sooner than the backoff");
    book.raised.push_back(now);
}

// --- what must not last ---

void Judge::minute(Time now)
{
    const bool undisturbed = now - last_disturbance_ > 45min && std::ranges::count(maintenance_, true) == 0;
    const bool calm = undisturbed && world_.well_since() != never && now - world_.well_since() > 45min;
    if (calm)
        check_calm(now);
    for (InstanceId id = 0; id < books_.size(); ++id) {
        check_held(id, now);
        check_lasting(id, now);
    }
}

// When all has been well for a while, nothing is left of what was.
void Judge::check_calm(Time now)
{
    ++counts_.calm_minutes;
    for (InstanceId id = 0; id < books_.size(); ++id) {
        const auto& view = monitor_->instance(id);
        check(view.state == State::healthy, id, now, "after a calm time everything is healthy");
        check(view.hold == Hold::healthy && !view.signal && !view.in_flight && !view.cascade, id, now,
              "after a calm time nothing is asked for");
        check(view.record == RestartRecord{}, id, now, "after a calm time budgets are forgotten");
        check(!books_[id].owed, id, now, "every cascade that is owed is paid");
        check(books_[id].state == view.state && books_[id].hold == view.hold &&
                  books_[id].signal == view.signal.has_value(),
              id, now, "what was told is what is shown");
    }
    check(!monitor_->in_doubt() && monitor_->stack_state() == State::healthy, 0, now,
          "after a calm time the stack is healthy");
}

bool Judge::needs_are_well(ServiceId id, Time now) const
{
    for (const auto need : stack_.services()[id].needs) {
        const auto& row = stack_.services()[need];
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            if (!world_.answers(each, now) || world_.body(each).flaps_until > now)
                return false;
        if (maintenance_[need] || !needs_are_well(need, now))
            return false;
    }
    return true;
}

// A hold that comes from outside of the instance needs its reason, and the reason must not be long gone.
void Judge::check_held(InstanceId id, Time now)
{
    auto& book = books_[id];
    const auto service = stack_.instances()[id].service;
    const bool calm_around = now - world_.calm_since() > 10min && now - last_disturbance_ > 10min;
    switch (book.hold) {
        case Hold::self_doubt:
            check(!calm_around || now - book.held_since < 10min, id, now, "no doubt without a reason");
            break;
        case Hold::need_unhealthy:
            if (!calm_around || !needs_are_well(service, now))
                book.held_since = now;
            check(now - book.held_since < 10min, id, now, "no waiting for a dependency that is well");
            break;
        case Hold::storm: {
            std::size_t silent = 0;
            for (ServiceId each = 0; each < services_.size(); ++each)
                silent += !world_.serves(each) || maintenance_[each];
            if (!calm_around || silent >= 3)
                book.held_since = now;
            check(now - book.held_since < 10min, id, now, "no storm without trouble");
            break;
        }
        case Hold::sibling_in_flight:
        case Hold::stack_limit: check(now - book.held_since < 1h, id, now, "everybody's turn comes"); break;
        case Hold::gate_failed:
        case Hold::gate_pending:
            if (!calm_around || !world_.gate_passes(id))
                book.held_since = now;
            check(now - book.held_since < 2min, id, now, "a gate that would pass does not hold for long");
            break;
        default: break;
    }
}

// Every lasting fault ends in healing or in quarantine, within a bound: detection, then the whole budget,
// each time with its backoff, its action and the time to a verdict. Only time in which nothing outside of the
// instance stood in the way is counted: meanwhile old restarts leave the window of the budget.
void Judge::check_lasting(InstanceId id, Time now)
{
    auto& book = books_[id];
    const auto service = stack_.instances()[id].service;
    const auto& body = world_.body(id);
    if (body.bad_since == never || book.hold == Hold::quarantined || maintenance_[service] || body.paused) {
        book.unhealed = {};
        return;
    }
    ++counts_.ill_minutes;
    const bool own_time = book.hold == Hold::none || book.hold == Hold::healthy ||
                          book.hold == Hold::pending || book.hold == Hold::cooling_down ||
                          book.hold == Hold::in_flight;
    const bool held_back = stack_.mode_of(service) == Mode::observe || now < world_.calm_since() ||
                           now - last_disturbance_ < 1min || body.bad_since + 1min > now;
    if (own_time && !held_back && book.state != State::unknown)
        ++book.unhealed;
    else
        book.unhealed = {};
    check(book.unhealed < bound(id), id, now, "every lasting fault ends in healing or quarantine");
}

Clock::duration Judge::bound(InstanceId id) const
{
    const auto& policy = service_of(id).restart;
    Clock::duration verdict{};
    for (const auto& probe : stack_.instances()[id].spec->probes)
        if (probe.role != Role::gate)
            verdict += verdict_time(probe.timing);
    auto bound = verdict + policy.pending_for.value;
    // Earlier restarts may have taken the backoff to its ceiling already.
    bound += policy.max * (policy.backoff_max.value * 11 / 10 + policy.command->timeout.value + 15s +
                           verdict + policy.pending_for.value);
    return bound + 2min;
}

}  // namespace keepwell::sim
