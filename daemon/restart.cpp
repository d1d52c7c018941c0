#include "daemon/restart.hpp"

#include <algorithm>
#include <limits>

namespace keepwell {

namespace {

// The window's end, without overflow for windows longer than the clock's past.
bool within_window(Clock::time_point restart, const RestartPolicy& policy, Clock::time_point now)
{
    return now - restart < policy.within.value;
}

bool budget_spent(const RestartRecord& record, const RestartPolicy& policy, Clock::time_point now)
{
    const auto used = std::ranges::count_if(
        record.recent, [&](Clock::time_point each) { return within_window(each, policy, now); });
    return used >= policy.max;
}

// backoff doubled `times` times, but never beyond backoff_max and never overflowing.
Clock::duration doubled(const RestartPolicy& policy, int times)
{
    const Clock::duration most = std::max(policy.backoff_max.value, policy.backoff.value);
    Clock::duration length = policy.backoff;
    for (; times > 0 && length < most && length > Clock::duration{}; --times)
        length = length > most / 2 ? most : length * 2;
    return std::min(length, most);
}

}  // namespace

std::vector<std::string> RestartPolicy::faults() const
{
    std::vector<std::string> found;
    if (backoff_max < backoff)
        found.push_back("backoff_max (" + backoff_max.text() + ") is less than backoff (" + backoff.text() +
                        ")");
    if (!(jitter >= 0 && jitter <= 1))
        found.push_back("jitter must be between 0 and 1");
    if (mode == Mode::act && !can_act())
        found.push_back("mode act needs something to restart with: a command, or docker");
    if (command && docker)
        found.push_back("command and docker are two ways to restart: choose one");
    return found;
}

RestartAction RestartPolicy::action() const
{
    return docker ? RestartAction{*docker} : RestartAction{command.value_or(CommandAction{})};
}

// After its own timeout a container is still killed and started.
Duration RestartPolicy::action_timeout() const
{
    constexpr Duration usual = 60s;
    constexpr Duration kill_and_start = 60s;
    if (!docker)
        return command.value_or(CommandAction{}).timeout;
    return Duration{docker->timeout.value_or(usual).value + kill_and_start.value};
}

std::string_view words(Hold hold)
{
    switch (hold) {
        case Hold::none: return "nothing holds it back";
        case Hold::healthy: return "no liveness probe says unhealthy: there is nothing to restart";
        case Hold::observing: return "mode observe: nothing is asked for";
        case Hold::maintenance: return "in maintenance, set by hand";
        case Hold::paused: return "paused from outside";
        case Hold::self_doubt: return "keepwell doubts itself: the fault may be its own";
        case Hold::in_flight: return "its restart is under way";
        case Hold::need_unhealthy: return "a service it depends on is not healthy: the root first";
        case Hold::storm: return "most of the stack fails: only roots are restarted";
        case Hold::pending: return "not unhealthy for long enough yet";
        case Hold::quarantined: return "restart budget spent: a person must look";
        case Hold::cooling_down: return "too soon after the last restart or signal";
        case Hold::sibling_in_flight: return "another instance of the service is being restarted";
        case Hold::stack_limit: return "as many restarts are under way as the stack allows";
        case Hold::gate_pending: return "its gate probes are being asked";
        case Hold::gate_failed: return "a gate probe forbids it";
    }
    return "?";
}

Hold hold(const Situation& situation, const RestartRecord& record, const RestartPolicy& policy,
          Clock::time_point now)
{
    if (!situation.unhealthy && !situation.cascade)
        return Hold::healthy;
    if (situation.mode == Mode::observe)
        return Hold::observing;
    if (situation.maintenance)
        return Hold::maintenance;
    if (situation.paused)
        return Hold::paused;
    if (situation.self_doubt)
        return Hold::self_doubt;
    if (situation.in_flight)
        return Hold::in_flight;
    if (situation.need_unhealthy)
        return Hold::need_unhealthy;
    if (situation.storm)
        return Hold::storm;
    if (!situation.cascade && now - situation.unhealthy_since < policy.pending_for.value)
        return Hold::pending;
    if (record.quarantined && situation.unhealthy)
        return Hold::quarantined;
    if (now < record.not_before)
        return Hold::cooling_down;
    if (budget_spent(record, policy, now))
        return situation.unhealthy ? Hold::quarantined : Hold::cooling_down;
    if (situation.sibling_in_flight)
        return Hold::sibling_in_flight;
    if (situation.stack_limit)
        return Hold::stack_limit;
    if (situation.gate == Gate::pending)
        return Hold::gate_pending;
    if (situation.gate == Gate::failed)
        return Hold::gate_failed;
    return Hold::none;
}

RestartRecord after_restart(RestartRecord record, const RestartPolicy& policy, Clock::time_point now,
                            double random)
{
    std::erase_if(record.recent, [&](Clock::time_point each) { return !within_window(each, policy, now); });
    record.recent.push_back(now);
    if (const auto most = static_cast<std::size_t>(std::max(policy.max, 1)); record.recent.size() > most)
        record.recent.erase(record.recent.begin(), record.recent.end() - static_cast<std::ptrdiff_t>(most));

    const auto pause = doubled(policy, record.in_a_row);
    const auto more = std::chrono::duration<double, Clock::period>{
        static_cast<double>(pause.count()) * std::clamp(policy.jitter, 0.0, 1.0) * random};
    record.not_before = now + pause + std::chrono::duration_cast<Clock::duration>(more);
    if (record.in_a_row < std::numeric_limits<int>::max())
        ++record.in_a_row;
    return record;
}

RestartRecord without_restart(RestartRecord record, Clock::time_point at)
{
    std::erase(record.recent, at);
    return record;
}

RestartRecord settle(RestartRecord record, const RestartPolicy& policy, bool wanted,
                     std::optional<Clock::time_point> healthy_since, Clock::time_point now)
{
    std::erase_if(record.recent, [&](Clock::time_point each) { return !within_window(each, policy, now); });
    if (healthy_since) {
        record.quarantined = false;
        if (now - *healthy_since >= policy.stable_after.value)
            return {};
    } else if (wanted && now >= record.not_before && budget_spent(record, policy, now)) {
        record.quarantined = true;
    }
    return record;
}

}  // namespace keepwell
