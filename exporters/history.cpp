#include "exporters/history.hpp"

#include "daemon/log.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::size_t most_happenings = 500;

std::string seconds_text(Clock::duration length)
{
    return fmt::format("{:.1f} s", std::chrono::duration<double>(length).count());
}

}  // namespace

void History::remember(std::string kind, InstanceId id, std::string text, Clock::time_point at)
{
    const auto& row = monitor_->stack().instances()[id];
    happenings_.push_back({next_++, at, std::move(kind), monitor_->stack().services()[row.service].spec->name,
                           row.spec->name, std::move(text)});
    if (happenings_.size() > most_happenings)
        happenings_.pop_front();
}

// What the instance's failing probe said last.
std::string History::why(InstanceId id) const
{
    const auto& row = monitor_->stack().instances()[id];
    for (ProbeId probe = row.first_probe; probe < row.first_probe + row.probe_count; ++probe) {
        const auto& view = monitor_->probe(probe);
        if (view.last.outcome != Outcome::ok && view.last.started != Clock::time_point{})
            return fmt::format("{}: {}{}{}", monitor_->stack().probes()[probe].spec->name,
                               to_string(view.last.reason), view.last.detail.empty() ? "" : ", ",
                               view.last.detail);
    }
    return {};
}

void History::attempted(ProbeId id, const ProbeResult& result, const Health& after)
{
    if (!logs(LogLevel::debug))
        return;
    const auto& probe = monitor_->stack().probes()[id];
    const auto& instance = monitor_->stack().instances()[probe.instance];
    log(LogLevel::debug, "attempted",
        {{"service", monitor_->stack().services()[instance.service].spec->name},
         {"instance", instance.spec->name},
         {"probe", probe.spec->name},
         {"outcome", std::string{to_string(result.outcome)}},
         {"reason", std::string{to_string(result.reason)}},
         {"phase", std::string{to_string(result.phase)}},
         {"took_ms", fmt::format("{:.3f}", std::chrono::duration<double, std::milli>(result.took).count())},
         {"failing_streak", fmt::format("{}/{}", after.failing_streak, probe.spec->timing.retries)},
         {"detail", result.detail}});
}

void History::state_changed(InstanceId id, State before, State after, Clock::time_point at)
{
    const auto reason = after == State::unhealthy || after == State::unknown ? why(id) : std::string{};
    remember("state_changed", id,
             fmt::format("{} → {}{}{}", name_of(before), name_of(after), reason.empty() ? "" : ": ", reason),
             at);
    const auto& last = happenings_.back();
    log(after == State::unhealthy ? LogLevel::warn : LogLevel::info, "state changed",
        {{"service", last.service},
         {"instance", last.instance},
         {"from", std::string{name_of(before)}},
         {"to", std::string{name_of(after)}},
         {"why", reason}});
}

void History::signal_raised(InstanceId id, const Signal& signal, Clock::time_point at)
{
    remember("signal_raised", id,
             fmt::format(
                 "restart asked for: {}{}{}", signal.cause,
                 signal.probe.empty() ? "" : fmt::format(" ({}: {})", signal.probe, to_string(signal.reason)),
                 signal.times > 1 ? fmt::format(", for the {}. time", signal.times) : ""),
             at);
    const auto& last = happenings_.back();
    log(LogLevel::warn, "signal raised",
        {{"service", last.service},
         {"instance", last.instance},
         {"cause", signal.cause},
         {"probe", signal.probe},
         {"reason", std::string{to_string(signal.reason)}},
         {"detail", signal.detail},
         {"times", std::to_string(signal.times)}});
}

void History::signal_cleared(InstanceId id, const Signal& signal, Clock::time_point at)
{
    remember("signal_cleared", id, "signal cleared after " + seconds_text(at - signal.since), at);
    const auto& last = happenings_.back();
    log(LogLevel::info, "signal cleared",
        {{"service", last.service}, {"instance", last.instance}, {"after", seconds_text(at - signal.since)}});
}

void History::held(InstanceId id, Hold, Hold after, const std::string& detail, Clock::time_point at)
{
    if (after == Hold::none || after == Hold::healthy || after == Hold::in_flight)
        return;  // there is nothing to restart, or that it is being restarted was told
    remember("held", id,
             fmt::format("not restarted: {}{}{}", words(after), detail.empty() ? "" : ": ", detail), at);
    const auto& last = happenings_.back();
    log(LogLevel::info, "restart held",
        {{"service", last.service},
         {"instance", last.instance},
         {"hold", std::string{name_of(after)}},
         {"detail", detail}});
}

void History::action_started(InstanceId id, const ActionContext& context, Clock::time_point at)
{
    remember("action_started", id, "restarting: " + context.cause, at);
    const auto& last = happenings_.back();
    log(LogLevel::warn, "restarting",
        {{"service", last.service},
         {"instance", last.instance},
         {"cause", context.cause},
         {"detail", context.detail}});
}

void History::action_finished(InstanceId id, const ActionOutcome& outcome, Clock::time_point at)
{
    const auto result = std::string{name_of(outcome.result)};
    remember("action_finished", id,
             fmt::format("restart {} after {}{}{}", result, seconds_text(outcome.took),
                         outcome.detail.empty() ? "" : ": ", outcome.detail),
             at);
    const auto& last = happenings_.back();
    log(outcome.result == ActionResult::ok ? LogLevel::info : LogLevel::error, "restart finished",
        {{"service", last.service},
         {"instance", last.instance},
         {"result", result},
         {"took", seconds_text(outcome.took)},
         {"detail", outcome.detail},
         {"output", outcome.output}});
}

void History::doubted(bool on, const std::string& why, Clock::time_point at)
{
    happenings_.push_back({next_++,
                           at,
                           "doubt",
                           {},
                           {},
                           on ? "keepwell doubts itself: " + why : "keepwell trusts itself again"});
    if (happenings_.size() > most_happenings)
        happenings_.pop_front();
    log(on ? LogLevel::error : LogLevel::info,
        on ? "in doubt about myself; nothing is restarted" : "no longer in doubt", {{"why", why}});
}

}  // namespace keepwell
