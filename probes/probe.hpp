#pragma once

#include "probes/result.hpp"

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace keepwell {

namespace asio = boost::asio;

// The only thing a running probe shares with its runner: where it is, and what it met on its way.
class Progress {
public:
    explicit Progress(Clock::time_point deadline = Clock::time_point::max())
        : deadline_{deadline}, started_{Clock::now()}, entered_{started_}
    {
    }

    // Begins a phase and ends the one before; a phase entered twice (a redirect) adds up.
    void enter(Phase phase)
    {
        const auto now = Clock::now();
        times_[static_cast<std::size_t>(phase_)] += now - entered_;
        entered_ = now;
        phase_ = phase;
    }
    // For libraries that measure phases themselves; replaces what enter() has measured.
    void measured(Phase phase, Clock::duration took) { times_[static_cast<std::size_t>(phase)] = took; }
    void note(std::string_view name, double value)
    {
        if (facts_.empty())
            facts_.reserve(usual_facts);
        facts_.push_back({name, value});
    }
    void keep_output(std::string output) { output_ = std::move(output); }

    Clock::time_point deadline() const { return deadline_; }
    // A little before the deadline: when a probe answers itself if silence means more to it than `timeout`.
    Clock::time_point verdict_due() const
    {
        if (deadline_ == Clock::time_point::max())
            return deadline_;
        using std::chrono::milliseconds;
        return deadline_ -
               std::clamp<Clock::duration>((deadline_ - started_) / 10, milliseconds{1}, milliseconds{250});
    }
    Clock::time_point started() const { return started_; }
    Phase phase() const { return phase_; }

    // Ends the current phase and gives all that was noted to the result; to be called once.
    void finish(ProbeResult& result)
    {
        enter(phase_);
        result.phase = phase_;
        result.started = started_;
        result.took = entered_ - started_;
        result.phase_took = times_;
        result.facts = std::move(facts_);
        result.output = std::move(output_);
    }

private:
    static constexpr std::size_t usual_facts = 4;

    Clock::time_point deadline_;
    Clock::time_point started_;
    Clock::time_point entered_;
    Phase phase_ = Phase::prepare;
    PhaseTimes times_{};
    std::vector<Fact> facts_;
    std::string output_;
};

// A probe's answer: the runner adds phase, times and facts.
struct Verdict {
    Outcome outcome = Outcome::not_attempted;
    Reason reason = Reason::internal_error;
    std::string detail{};
};

inline Verdict ok(std::string detail = {}) { return {Outcome::ok, Reason::none, std::move(detail)}; }
inline Verdict rejected(Reason reason, std::string detail)
{
    return {Outcome::rejected, reason, std::move(detail)};
}
inline Verdict no_response(Reason reason, std::string detail)
{
    return {Outcome::no_response, reason, std::move(detail)};
}
inline Verdict not_attempted(Reason reason, std::string detail)
{
    return {Outcome::not_attempted, reason, std::move(detail)};
}

// Thrown anywhere below a probe to end the attempt with this verdict; the runner catches it.
struct Failure : std::runtime_error {
    explicit Failure(Verdict why) : std::runtime_error{why.detail}, verdict{std::move(why)} {}
    Verdict verdict;
};

}  // namespace keepwell
