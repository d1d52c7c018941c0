#pragma once

#include "daemon/alert.hpp"

#include <expected>
#include <optional>
#include <string>

namespace keepwell {

// What must outlive keepwell itself: restart records, quarantines, maintenance and the alerts that fire, as
// JSON. Times are Unix seconds, so both clocks are passed in: `now` and `wall` are the same moment. Services
// without anything to remember are left out.
std::string memory_text(const Monitor& monitor, const Alerts& alerts, Clock::time_point now, WallTime wall);

// Gives a fresh monitor what the text remembers, by name. A text that cannot be trusted (broken, of another
// version) gives the safe choice: every instance counts as restarted a moment ago. Times in the future count
// as now: the clock was set back. Returns a warning in words, or nothing when all is well. Alerts are given
// back once all services are known: what is gone has ended.
std::optional<std::string> recall(std::string_view text, Monitor& monitor, Alerts* alerts,
                                  Clock::time_point now, WallTime wall);

// The same from a file; that there is none yet is well.
std::optional<std::string> recall_file(const std::string& path, Monitor& monitor, Alerts* alerts,
                                       Clock::time_point now, WallTime wall);

// Replaces the file atomically (temporary file, fsync, rename), readable by its owner only. Returns what went
// wrong.
std::optional<std::string> write_memory(const std::string& path, std::string_view text);

}  // namespace keepwell
