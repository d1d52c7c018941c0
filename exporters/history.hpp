#pragma once

#include "daemon/monitor.hpp"

#include <deque>
#include <string>

namespace keepwell {

// One thing that happened, in words: what a person at 3 a.m. reads, and what the log line says.
struct Happening {
    std::uint64_t number = 0;  // counts up; never reused while keepwell runs
    Clock::time_point at{};
    std::string
        kind{};  // state_changed, signal_raised, signal_cleared, held, action_started, action_finished, doubt
    std::string service{};
    std::string instance{};
    std::string text{};
};

// Remembers the last happenings, and writes each to the log. Bounded.
class History : public Sink {
public:
    void attach(const Monitor& monitor) { monitor_ = &monitor; }
    const std::deque<Happening>& happenings() const { return happenings_; }

    void attempted(ProbeId, const ProbeResult&, const Health&) override;
    void state_changed(InstanceId, State, State, Clock::time_point) override;
    void signal_raised(InstanceId, const Signal&, Clock::time_point) override;
    void signal_cleared(InstanceId, const Signal&, Clock::time_point) override;
    void held(InstanceId, Hold, Hold, const std::string&, Clock::time_point) override;
    void action_started(InstanceId, const ActionContext&, Clock::time_point) override;
    void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) override;
    void doubted(bool, const std::string&, Clock::time_point) override;

private:
    void remember(std::string kind, InstanceId id, std::string text, Clock::time_point at);
    std::string why(InstanceId id) const;

    const Monitor* monitor_ = nullptr;
    std::deque<Happening> happenings_{};
    std::uint64_t next_ = 1;
};

}  // namespace keepwell
