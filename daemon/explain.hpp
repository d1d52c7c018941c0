#pragma once

#include "daemon/stack.hpp"

#include <string>

namespace keepwell {

// How long a hang can go unnoticed: from a failure right after a successful attempt to `unhealthy`, in the
// worst case, when every attempt runs into its timeout. Follows the schedule's own rule.
Clock::duration slowest_detection(const Timing& timing);

// The same for a refused connection, where each attempt fails at once.
Clock::duration slowest_detection_of_refusal(const Timing& timing);

// A service's timeline in words: what is probed and when, when at the latest a failure is noticed, what
// follows, and what would hold a restart back.
std::string explain(const Stack& stack, ServiceId id);

}  // namespace keepwell
