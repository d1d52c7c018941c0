#pragma once

#include "daemon/monitor.hpp"

#include <expected>
#include <optional>
#include <string>

namespace keepwell {

using WallTime = std::chrono::system_clock::time_point;

// What must outlive keepwell itself: restart records, quarantines and maintenance, as JSON. Times are Unix
// seconds, so both clocks are passed in: `now` and `wall` are the same moment. Services without anything to
// remember are left out.
std::string memory_text(const Monitor& monitor, Clock::time_point now, WallTime wall);

// Gives a fresh monitor what the text remembers, by name. A text that cannot be trusted (broken, of another
// version) gives the safe choice: every instance counts as restarted a moment ago. Times in the future count
// as now: the clock was set back. Returns a warning in words, or nothing when all is well.
std::optional<std::string> recall(std::string_view text, Monitor& monitor, Clock::time_point now,
                                  WallTime wall);

// The same from a file; that there is none yet is well.
std::optional<std::string> recall_file(const std::string& path, Monitor& monitor, Clock::time_point now,
                                       WallTime wall);

// Replaces the file atomically (temporary file, fsync, rename), readable by its owner only. Returns what went
// wrong.
std::optional<std::string> write_memory(const std::string& path, std::string_view text);

}  // namespace keepwell
