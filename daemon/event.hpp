#pragma once

#include "daemon/stack.hpp"

namespace keepwell {

// "This instance should be restarted", with cause and time.
struct Signal {
    std::string cause{};  // "unhealthy", or "dependency NAME restarted"
    std::string probe{};  // the liveness probe that failed; empty for a cascade
    Reason reason = Reason::none;
    std::string detail{};
    Clock::time_point since{};
    int times = 0;  // how often it has been raised in a row
    bool operator==(const Signal&) const = default;
};

// The end of the street. Everything that tells (metrics, log, webhooks, status) listens here. Called on the
// loop, in order; must not block and must not call back into the monitor.
class Sink {
public:
    virtual ~Sink() = default;
    // One attempt, after the health it led to. Called for every attempt: keep it cheap.
    virtual void attempted(ProbeId, const ProbeResult&, const Health& /*after*/) {}
    virtual void state_changed(InstanceId, State /*before*/, State /*after*/, Clock::time_point) {}
    virtual void service_changed(ServiceId, State /*before*/, State /*after*/, Clock::time_point) {}
    virtual void signal_raised(InstanceId, const Signal&, Clock::time_point) {}
    virtual void signal_cleared(InstanceId, const Signal&, Clock::time_point) {}
    virtual void held(InstanceId, Hold /*before*/, Hold /*after*/, const std::string& /*detail*/,
                      Clock::time_point)
    {
    }
    virtual void action_started(InstanceId, const ActionContext&, Clock::time_point) {}
    virtual void action_finished(InstanceId, const ActionOutcome&, Clock::time_point) {}
    virtual void doubted(bool /*on*/, const std::string& /*why*/, Clock::time_point) {}
};

}  // namespace keepwell
