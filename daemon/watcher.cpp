#include "daemon/watcher.hpp"

#include "daemon/schedule.hpp"
#include "probes/heartbeats.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>

namespace keepwell {

namespace {

// Waking once per probe costs as much as the probe: all that is due within a tick starts together.
constexpr Clock::duration tick_length = 5ms;
constexpr Clock::duration longest_sleep = 1s;
// Rules are applied this much after news at the latest, and at most that often.
constexpr Clock::duration rules_pause = 20ms;
constexpr Clock::duration late_tick = 50ms;
// A loop that was away for so long was not slow, it was stopped: its results say nothing.
constexpr Clock::duration frozen_after = 3s;
constexpr Clock::duration self_check_pause = 2s;
constexpr Clock::duration self_check_timeout = 2s;

Clock::time_point to_tick(Clock::time_point at)
{
    if (at == Clock::time_point::max())
        return at;
    const auto past = at.time_since_epoch() % tick_length;
    return past == Clock::duration{} ? at : at + (tick_length - past);
}

using ProbeKey = std::tuple<std::string, std::string, std::string>;

ProbeKey key_of(const Stack& stack, ProbeId id)
{
    const auto& probe = stack.probes()[id];
    const auto& instance = stack.instances()[probe.instance];
    return {stack.services()[instance.service].spec->name, instance.spec->name, probe.spec->name};
}

}  // namespace

Watcher::Watcher(asio::io_context& loop, std::unique_ptr<Monitor> monitor, Settings settings)
    : loop_{loop}, monitor_{std::move(monitor)}, settings_{std::move(settings)}, timer_{loop}
{
}

Watcher::~Watcher() { stop(); }

void Watcher::start()
{
    *alive_ = true;
    plan_all(Clock::now());
    spawn(tick(alive_));
}

void Watcher::rest()
{
    resting_ = true;
    timer_.cancel();
}

void Watcher::stop()
{
    *alive_ = false;
    timer_.cancel();
}

void Watcher::replace(std::unique_ptr<Monitor> monitor, Settings settings)
{
    std::map<ProbeKey, std::pair<const Probe*, Clock::time_point>> before;
    for (ProbeId id = 0; id < slots_.size(); ++id)
        before.emplace(key_of(monitor_->stack(), id),
                       std::pair{monitor_->stack().probes()[id].spec, slots_[id].due});
    auto old = std::exchange(monitor_, std::move(monitor));
    settings_ = std::move(settings);
    ++generation_;
    plan_all(Clock::now());
    for (ProbeId id = 0; id < slots_.size(); ++id) {
        const auto found = before.find(key_of(monitor_->stack(), id));
        const auto* spec = monitor_->stack().probes()[id].spec;
        if (found != before.end() && found->second.second != Clock::time_point::max() &&
            *found->second.first == *spec)
            plan(id, found->second.second);
    }
    wake();
}

void Watcher::wake()
{
    dirty_ = true;
    nudge(Clock::now());
}

WatcherFigures Watcher::figures() const { return figures_; }

void Watcher::forget_lateness() { figures_.worst_lateness = {}; }

void Watcher::plan_all(Clock::time_point now)
{
    const auto& stack = monitor_->stack();
    slots_.assign(stack.probes().size(), {});
    queue_.clear();
    (void)monitor_->take_started();
    for (ProbeId id = 0; id < slots_.size(); ++id)
        if (stack.probes()[id].spec->role != Role::gate)
            plan(id, first_due(now, stack.probes()[id].spec->timing.interval, id, slots_.size()));
}

void Watcher::plan(ProbeId id, Clock::time_point due)
{
    slots_[id].due = due;
    queue_.push_back({due, id});
    std::ranges::push_heap(queue_, std::greater{});
    nudge(due);
}

void Watcher::nudge(Clock::time_point at)
{
    const auto wake_at = to_tick(at);
    if (wake_at >= planned_wake_)
        return;
    planned_wake_ = wake_at;
    timer_.expires_at(wake_at);
}

void Watcher::spawn(asio::awaitable<void> work)
{
    asio::co_spawn(loop_, std::move(work), [](const std::exception_ptr& error) {
        if (error)
            std::rethrow_exception(error);  // a bug of ours: main() reports it and ends
    });
}

asio::awaitable<void> Watcher::tick(std::shared_ptr<bool> alive)
{
    while (*alive && !resting_) {
        planned_wake_ = next_wake(Clock::now());
        timer_.expires_at(planned_wake_);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!*alive || resting_)
            co_return;
        const auto now = Clock::now();
        const auto late = now - planned_wake_;
        if (late < Clock::duration{})
            continue;  // nudged: something is due sooner
        ++figures_.ticks;
        figures_.late_ticks += late > late_tick;
        figures_.worst_lateness = std::max(figures_.worst_lateness, late);
        if (late > frozen_after) {
            monitor_->frozen(late, now);
            heartbeats(loop_).resumed(now);
            dirty_ = true;
            skip_missed(now);
        }
        begin_due(now);
        consult(now);
    }
}

// The soonest of: a probe that is due, news the rules have not seen, and the monitor's own time.
Clock::time_point Watcher::next_wake(Clock::time_point now) const
{
    auto next = std::min(now + longest_sleep, monitor_->wake_at());
    if (!queue_.empty())
        next = std::min(next, queue_.front().at);
    if (dirty_)
        next = std::min(next, last_advance_ + rules_pause);
    return to_tick(std::max(next, now));
}

void Watcher::begin_due(Clock::time_point now)
{
    while (!queue_.empty() && queue_.front().at <= now) {
        const auto [at, id] = queue_.front();
        std::ranges::pop_heap(queue_, std::greater{});
        queue_.pop_back();
        if (slots_[id].due != at)
            continue;
        slots_[id].due = Clock::time_point::max();
        const auto& timing = monitor_->stack().probes()[id].spec->timing;
        if (!monitor_->wanted(id)) {
            plan(id, next_due(at, now, timing, false, false));
        } else if (!slots_[id].running.expired()) {
            ++figures_.skipped_attempts;
            plan(id, next_due(at, now, timing, false, false));
        } else {
            spawn(attempt(id, generation_, at, alive_));
        }
    }
}

// After a freeze everything is overdue at once: each probe goes on at its own next time instead.
void Watcher::skip_missed(Clock::time_point now)
{
    for (ProbeId id = 0; id < slots_.size(); ++id)
        if (slots_[id].due <= now)
            plan(id,
                 next_due(slots_[id].due, now, monitor_->stack().probes()[id].spec->timing, false, false));
}

asio::awaitable<void> Watcher::attempt(ProbeId id, std::uint64_t generation, Clock::time_point due,
                                       std::shared_ptr<bool> alive)
{
    const Probe& probe = *monitor_->stack().probes()[id].spec;
    auto progress = std::make_shared<Progress>(Clock::now() + probe.timing.timeout.value);
    slots_[id].running = progress;
    ++figures_.attempts_running;
    auto result = co_await run(probe.spec, std::move(progress));
    if (!*alive)
        co_return;
    --figures_.attempts_running;
    if (generation != generation_)
        co_return;
    const auto now = Clock::now();
    monitor_->observe(id, result, now);
    const bool starting = monitor_->probe(id).health.state == State::starting;
    const bool failed = result.outcome == Outcome::rejected || result.outcome == Outcome::no_response;
    if (slots_[id].due ==
        Clock::time_point::max())  // else it was planned anew because the instance was restarted
        plan(id, next_due(due, now, monitor_->stack().probes()[id].spec->timing, starting, failed));
    if (monitor_->has_news()) {
        dirty_ = true;
        nudge(std::max(now, last_advance_ + rules_pause));
    }
}

// Lets the monitor apply its rules, and does what it asks for.
void Watcher::consult(Clock::time_point now)
{
    if ((dirty_ && now >= last_advance_ + rules_pause) || now >= monitor_->wake_at()) {
        dirty_ = false;
        last_advance_ = now;
        apply(monitor_->advance(now));
    }
    if (settings_.self_check && !self_check_running_ && now >= next_self_check_) {
        next_self_check_ = now + self_check_pause;
        if (monitor_->wants_self_check(now)) {
            self_check_running_ = true;
            spawn(check_self(alive_));
        }
    }
}

void Watcher::apply(std::vector<Request> requests)
{
    for (auto& request : requests) {
        const auto& stack = monitor_->stack();
        const auto& service = *stack.services()[stack.instances()[request.instance].service].spec;
        if (request.kind == Request::Kind::ask_gates)
            spawn(ask_gates(std::move(request), generation_, alive_));
        else
            spawn(carry_out(std::move(request), service.restart.action(), alive_));
    }
    for (const auto id : monitor_->take_started())
        reschedule_started(id);
}

// A restarted instance is probed as Docker would: one interval (or start_interval) after its start.
void Watcher::reschedule_started(InstanceId id)
{
    const auto started_at = monitor_->instance(id).started_at;
    const auto& row = monitor_->stack().instances()[id];
    for (ProbeId probe = row.first_probe; probe < row.first_probe + row.probe_count; ++probe)
        if (row.spec->probes[probe - row.first_probe].role != Role::gate)
            plan(probe, due_after_start(started_at, monitor_->stack().probes()[probe].spec->timing));
}

asio::awaitable<void> Watcher::ask_gates(Request request, std::uint64_t generation,
                                         std::shared_ptr<bool> alive)
{
    const auto& row = monitor_->stack().instances()[request.instance];
    std::vector<std::pair<ProbeId, Probe>> gates;  // copies: a reload may come in between
    for (ProbeId id = row.first_probe; id < row.first_probe + row.probe_count; ++id)
        if (const auto& probe = *monitor_->stack().probes()[id].spec; probe.role == Role::gate)
            gates.emplace_back(id, probe);
    for (const auto& [id, probe] : gates) {
        const auto result = co_await run(probe.spec, probe.timing.timeout.value);
        if (!*alive || generation != generation_)
            co_return;
        monitor_->observe(id, result, Clock::now());
        if (result.outcome != Outcome::ok) {
            monitor_->gates_answered(request.instance, false, probe.name + ": " + result.detail,
                                     Clock::now());
            wake();
            co_return;
        }
    }
    monitor_->gates_answered(request.instance, true, {}, Clock::now());
    wake();
}

asio::awaitable<void> Watcher::carry_out(Request request, RestartAction action, std::shared_ptr<bool> alive)
{
    const auto context = request.context;
    ++figures_.actions_running;
    const auto outcome = co_await settings_.act(std::move(action), std::move(request.context));
    if (!*alive)
        co_return;
    --figures_.actions_running;
    // By name: a reload may have given it another id, or removed it.
    const auto& stack = monitor_->stack();
    if (const auto service = stack.find(context.service)) {
        const auto& row = stack.services()[*service];
        for (InstanceId id = row.first_instance; id < row.first_instance + row.instance_count; ++id)
            if (stack.instances()[id].spec->name == context.instance)
                monitor_->action_finished(id, outcome, Clock::now());
    }
    wake();
}

asio::awaitable<void> Watcher::check_self(std::shared_ptr<bool> alive)
{
    const auto result = co_await run(settings_.self_check, self_check_timeout);
    if (!*alive)
        co_return;
    self_check_running_ = false;
    monitor_->self_checked(result, Clock::now());
    wake();
}

}  // namespace keepwell
