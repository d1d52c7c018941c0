#pragma once

#include "probes/reason.hpp"

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

using Clock = std::chrono::steady_clock;

// What one attempt says about its target. The four values are those of pg_isready(1), and so are the
// exit codes 0 to 3 of `keepwell probe`.
enum class Outcome : std::uint8_t {
    ok,             // the target answered, and the answer is good
    rejected,       // the target answered, and the answer is bad
    no_response,    // no answer: refused, unreachable, or out of time
    not_attempted,  // the fault is ours; says nothing about the target
};
inline constexpr std::size_t outcome_count = 4;

// How far an attempt got. A timeout reports the phase it died in.
enum class Phase : std::uint8_t { prepare, resolve, connect, tls, request, reply };
inline constexpr std::size_t phase_count = 6;

std::string_view to_string(Outcome);
std::string_view to_string(Phase);

// A number worth exporting that the attempt met on its way, e.g. {"certificate_expiry_seconds", 1.8e9}.
// The name is a string literal in snake_case with its unit last.
struct Fact {
    std::string_view name;
    double value;
    bool operator==(const Fact&) const = default;
};

using PhaseTimes = std::array<Clock::duration, phase_count>;  // zero for phases that were not entered

struct ProbeResult {
    Outcome outcome = Outcome::not_attempted;
    Reason reason = Reason::none;
    Phase phase = Phase::prepare;  // the last one entered
    std::string detail{};          // one line for people; never holds a secret
    std::string output{};          // what a program printed (last 4 KiB); empty for other kinds
    Clock::time_point started{};
    Clock::duration took{};
    PhaseTimes phase_took{};
    std::vector<Fact> facts{};
};

}  // namespace keepwell
