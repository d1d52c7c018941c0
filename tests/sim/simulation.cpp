#include "tests/sim/simulation.hpp"

#include "daemon/schedule.hpp"

#include <algorithm>

namespace keepwell::sim {

namespace {

constexpr Time start = Time{} + 1h;
constexpr auto freeze_every = 48h;
constexpr auto reload_every = 36h;
constexpr auto restart_every = 120h;
constexpr auto maintenance_every = 96h;
constexpr auto pause_every = 200h;
constexpr auto operator_every = 1h;

}  // namespace

Simulation::Simulation(std::uint64_t seed, Clock::duration length)
    : stack_{ten_services()},
      world_{stack_, seed},
      judge_{world_, stack_},
      random_{seed ^ 0x5eed},
      now_{start},
      end_{start + length},
      monitor_{std::make_unique<Monitor>(stack_, std::vector<Sink*>{&judge_}, start, seed)},
      attempts_(stack_.probes().size()),
      actions_(stack_.instances().size()),
      known_signals_(stack_.instances().size())
{
    judge_.attach(*monitor_);
    for (ProbeId id = 0; id < attempts_.size(); ++id)
        if (stack_.probes()[id].spec->role != Role::gate)
            plan(id, first_due(now_, stack_.probes()[id].spec->timing.interval, id, attempts_.size()));
    after(random_.until_next(freeze_every), What::freeze);
    after(random_.until_next(reload_every), What::reload);
    after(random_.until_next(restart_every), What::restart);
    after(random_.until_next(maintenance_every), What::maintenance_begins);
    after(random_.until_next(pause_every), What::pause_begins);
    after(operator_every, What::operator_looks);
    after(1min, What::minute);
}

void Simulation::run()
{
    while (now_ < end_) {
        const auto next = std::min(world_.next_event(), monitor_->wake_at());
        if (!queue_.empty() && queue_.top().at <= next) {
            const auto event = queue_.top();
            queue_.pop();
            now_ = std::max(now_, event.at);
            happen(event);
        } else if (world_.next_event() == next) {
            now_ = std::max(now_, next);
            world_.happen(now_);
        } else {
            now_ = std::max(now_, next);
            consult();
        }
    }
}

void Simulation::happen(const Event& event)
{
    switch (event.what) {
        case What::attempt:
            if (attempts_[event.id].due == event.at)
                attempt(event.id);
            break;
        case What::attempt_ends:
            if (event.generation == generation_)
                attempt_ends(event.id);
            break;
        case What::gates_answer:
            if (event.generation == generation_)
                gates_answer(event.id);
            break;
        case What::action_ends: action_ends(event.id); break;
        case What::self_check_ends: self_check_ends(); break;
        case What::agent_restarts: agent_restarts(event.id); break;
        case What::operator_looks: operator_looks(); break;
        case What::freeze: freeze(); break;
        case What::reload:
            reload(false);
            after(random_.until_next(reload_every), What::reload);
            break;
        case What::restart:
            reload(true);
            after(random_.until_next(restart_every), What::restart);
            break;
        case What::maintenance_begins:
            maintain(event.id, true);
            after(random_.between(10min, 3h), What::maintenance_ends, event.id);
            break;
        case What::maintenance_ends:
            maintain(event.id, false);
            after(random_.until_next(maintenance_every), What::maintenance_begins,
                  random_.below(stack_.services().size()));
            break;
        case What::pause_begins:
        case What::pause_ends: {
            const bool on = event.what == What::pause_begins;
            counts_.pauses += on;
            judge_.disturbed(now_);
            world_.pause(event.id, on, now_);
            monitor_->instance_paused(event.id, on, monitor_now());
            consult();
            if (on)
                after(random_.between(1min, 30min), What::pause_ends, event.id);
            else
                after(random_.until_next(pause_every), What::pause_begins, random_.below(actions_.size()));
            break;
        }
        case What::minute:
            judge_.minute(now_);
            after(1min, What::minute);
            break;
    }
}

// Clocks are read before they are used: now and then the monitor hears a time a little before the last one.
Time Simulation::monitor_now() { return random_.chance(0.0001) ? now_ - random_.between(0ms, 100ms) : now_; }

// --- watching ---

void Simulation::plan(ProbeId id, Time due)
{
    attempts_[id].due = due;
    queue_.push({due, What::attempt, id, generation_});
}

void Simulation::attempt(ProbeId id)
{
    auto& each = attempts_[id];
    const auto& timing = stack_.probes()[id].spec->timing;
    if (each.running || !monitor_->wanted(id)) {
        plan(id, next_due(each.due, now_, timing, false, false));
        return;
    }
    each.phase = std::exchange(each.due, never);
    each.started = now_;
    const auto took = judge_truth(id, each);
    if (took < 10ms) {
        now_ += took;
        attempt_ends(id);
        return;
    }
    each.running = true;
    after(took, What::attempt_ends, id);
}

// What the attempt meets, and how long that takes.
Clock::duration Simulation::judge_truth(ProbeId id, Attempt& attempt)
{
    const auto instance = stack_.probes()[id].instance;
    const auto timeout = stack_.probes()[id].spec->timing.timeout.value;
    const bool local = stack_.probes()[id].spec->role == Role::startup;  // does not ask its dependencies
    const auto ends = [&](Outcome outcome, Cause cause, Clock::duration took) {
        attempt.outcome = outcome;
        attempt.cause = cause;
        return took;
    };
    if (world_.exhausted(now_) && random_.chance(0.8))
        return ends(Outcome::not_attempted, Cause::ours, 0ms);
    if (world_.offline(now_))
        return ends(Outcome::no_response, Cause::ours, random_.chance(0.5) ? timeout : 5ms);
    if (world_.overloaded(now_) && random_.chance(0.15))
        return ends(Outcome::no_response, Cause::overload, timeout);
    if (!world_.own_well(instance, now_)) {
        const auto& body = world_.body(instance);
        if (body.ill == Body::Ill::hung || body.paused)
            return ends(Outcome::no_response, Cause::own, timeout);
        const bool rejects = body.ill == Body::Ill::erroring;
        return ends(rejects ? Outcome::rejected : Outcome::no_response, Cause::own, 1ms);
    }
    if (!local && !world_.answers(instance, now_))
        return ends(Outcome::rejected, Cause::dependency, 3ms);
    return ends(Outcome::ok, Cause::none, 2ms);
}

void Simulation::attempt_ends(ProbeId id)
{
    auto& each = attempts_[id];
    const auto& timing = stack_.probes()[id].spec->timing;
    each.running = false;
    ProbeResult result{.outcome = each.outcome, .started = each.started, .took = now_ - each.started};
    if (result.took > timing.timeout.value + 100ms) {  // we were away when its deadline passed
        result.outcome = Outcome::no_response;
        each.cause = Cause::ours;
    }
    judge_.caused(id, each.cause);
    monitor_->observe(id, result, monitor_now());
    const auto& view = monitor_->instance(stack_.probes()[id].instance);
    const bool starting = monitor_->probe(id).health.state == State::starting &&
                          now_ - view.started_at < timing.start_period.value;
    const bool failed = result.outcome == Outcome::rejected || result.outcome == Outcome::no_response;
    plan(id, next_due(each.phase, now_, timing, starting, failed));
    consult();
}

void Simulation::consult()
{
    for (const auto& request : monitor_->advance(monitor_now()))
        apply(request);
    replan_started();
    listen();
    if (!self_check_running_ && monitor_->wants_self_check(now_)) {
        self_check_running_ = true;
        ++counts_.self_checks;
        after(world_.offline(now_) ? 2s : 50ms, What::self_check_ends);
    }
}

void Simulation::replan_started()
{
    for (const auto id : monitor_->take_started()) {
        const auto started_at = monitor_->instance(id).started_at;
        const auto& row = stack_.instances()[id];
        for (auto probe = row.first_probe; probe < row.first_probe + row.probe_count; ++probe)
            if (stack_.probes()[probe].spec->role != Role::gate)
                plan(probe, std::max(now_, due_after_start(started_at, stack_.probes()[probe].spec->timing)));
    }
}

void Simulation::self_check_ends()
{
    self_check_running_ = false;
    const auto outcome = world_.exhausted(now_) ? Outcome::not_attempted
                         : world_.offline(now_) ? Outcome::no_response
                                                : Outcome::ok;
    monitor_->self_checked({.outcome = outcome, .started = now_ - 50ms}, monitor_now());
    consult();
}

// --- acting ---

void Simulation::apply(const Request& request)
{
    const auto id = request.instance;
    if (request.kind == Request::Kind::ask_gates) {
        if (!random_.chance(0.005))  // else the answer is lost
            after(random_.between(50ms, 2s), What::gates_answer, id);
        return;
    }
    auto& action = actions_[id];
    action = {.running = true};
    world_.stop_process(id, now_);
    const auto dice = random_.unit();
    action.works = dice < 0.94;
    action.result = action.works  ? ActionResult::ok
                    : dice < 0.97 ? ActionResult::failed
                                  : ActionResult::timed_out;
    if (dice < 0.995)  // else it is never heard of again
        after(action.result == ActionResult::timed_out ? 30s : random_.between(1s, 20s), What::action_ends,
              id);
}

void Simulation::gates_answer(InstanceId id)
{
    const bool passed = world_.gate_passes(id) && !world_.exhausted(now_);
    judge_.gates_answered(id, passed, now_);
    monitor_->gates_answered(id, passed, passed ? "" : "the configuration is broken", monitor_now());
    consult();
}

void Simulation::action_ends(InstanceId id)
{
    auto& action = actions_[id];
    if (!action.running)
        return;
    action.running = false;
    if (action.works)
        world_.start_process(id, now_);
    monitor_->action_finished(id, {.result = action.result}, monitor_now());
    consult();
}

// Signals that nobody acts on here: somebody outside may.
void Simulation::listen()
{
    for (InstanceId id = 0; id < known_signals_.size(); ++id) {
        const auto& signal = monitor_->instance(id).signal;
        const int times = signal ? signal->times : 0;
        if (std::exchange(known_signals_[id], times) >= times || monitor_->instance(id).in_flight)
            continue;
        if (random_.chance(0.8))
            after(random_.between(2s, 60s), What::agent_restarts, id);
    }
}

// Whoever listens to signals restarts what they name, if nobody else has done it meanwhile.
void Simulation::agent_restarts(InstanceId id)
{
    if (!monitor_->instance(id).signal || monitor_->instance(id).in_flight)
        return;
    ++counts_.obeyed;
    world_.start_process(id, now_);
    if (random_.chance(0.5)) {  // Docker would tell us; plain processes do not
        judge_.restarted_outside(id, now_);
        monitor_->instance_started(id, monitor_now());
    }
    consult();
}

// Once an hour somebody looks: obeys signals, mends what is quarantined or only observed.
void Simulation::operator_looks()
{
    after(operator_every, What::operator_looks);
    for (InstanceId id = 0; id < actions_.size(); ++id) {
        const auto& view = monitor_->instance(id);
        const auto service = stack_.instances()[id].service;
        const auto mode = stack_.mode_of(service);
        const bool hopeless =
            view.record.quarantined || (mode == Mode::observe && view.state == State::unhealthy);
        if (hopeless && random_.chance(0.3)) {
            world_.repair(id, now_);
            world_.happen(now_);
            if (random_.chance(0.5)) {
                ++counts_.resumed;
                judge_.resumed(service);
                monitor_->resume(service, monitor_now());
                consult();
            }
        }
    }
}

// --- what keepwell goes through itself ---

void Simulation::freeze()
{
    ++counts_.freezes;
    after(random_.until_next(freeze_every), What::freeze);
    const auto began = now_;
    const auto until = now_ + random_.between(4s, random_.chance(0.8) ? 30s : 30min);
    while (world_.next_event() <= until)
        world_.happen(world_.next_event());
    now_ = until;
    judge_.disturbed(now_);  // and not from its beginning on: nothing could be decided meanwhile
    // Attempts that were under way; of some the loop hears before it notices how late it is.
    std::vector<ProbeId> late;
    for (ProbeId id = 0; id < attempts_.size(); ++id)
        if (!attempts_[id].running && monitor_->wanted(id) && random_.chance(0.3))
            late.push_back(id);
    const auto deliver = [&](ProbeId id) {
        judge_.caused(id, Cause::ours);
        const ProbeResult result{.outcome = Outcome::no_response, .started = began, .took = now_ - began};
        monitor_->observe(id, result, now_);
    };
    const auto early = random_.below(late.size() + 1);
    for (std::size_t i = 0; i < late.size() && until - began > 9s; ++i)
        if (i < early)
            deliver(late[i]);
    monitor_->frozen(until - began, now_);
    for (std::size_t i = early; i < late.size(); ++i)
        deliver(late[i]);
    for (ProbeId id = 0; id < attempts_.size(); ++id)
        if (attempts_[id].due <= now_ && !attempts_[id].running)
            plan(id, next_due(attempts_[id].due, now_, stack_.probes()[id].spec->timing, false, false));
    consult();
}

// A reload with the same configuration, or a restart of which only the state file's contents survive.
void Simulation::reload(bool with_memory_only)
{
    ++(with_memory_only ? counts_.restarts : counts_.reloads);
    judge_.disturbed(now_);
    ++generation_;
    const auto before = std::move(monitor_);
    monitor_ = std::make_unique<Monitor>(stack_, std::vector<Sink*>{&judge_}, now_, random_.next());
    judge_.reattach(*monitor_, with_memory_only, now_);
    for (ServiceId id = 0; with_memory_only && id < stack_.services().size(); ++id)
        if (before->service(id).maintenance)
            monitor_->restore(id, true, before->service(id).maintenance_note);
    for (InstanceId id = 0; with_memory_only && id < actions_.size(); ++id) {
        if (std::exchange(actions_[id].running, false))  // its programs die with keepwell
            world_.start_process(id, now_);
        monitor_->restore(id, before->instance(id).record);
        if (world_.body(id).paused)
            monitor_->instance_paused(id, true, now_);
    }
    if (!with_memory_only)
        monitor_->adopt(*before, now_);
    self_check_running_ = false;
    for (ProbeId id = 0; id < attempts_.size(); ++id) {
        attempts_[id].running = false;
        if (stack_.probes()[id].spec->role != Role::gate)
            plan(id, attempts_[id].due == never ? now_ : std::max(now_, attempts_[id].due));
    }
    consult();
}

void Simulation::maintain(ServiceId id, bool on)
{
    counts_.maintenances += on;
    judge_.disturbed(now_);
    judge_.maintained(id, on);
    const auto& row = stack_.services()[id];
    if (!on && random_.chance(0.5))
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            if (!actions_[each].running)
                world_.start_process(each, now_);
    monitor_->maintain(id, on, "by hand", monitor_now());
    consult();
}

}  // namespace keepwell::sim
