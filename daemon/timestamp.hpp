#pragma once

#include <chrono>
#include <string>

namespace keepwell {

using WallTime = std::chrono::system_clock::time_point;

// A time of day as logs and JSON have it: RFC 3339, UTC, with milliseconds.
std::string rfc3339(WallTime at);

}  // namespace keepwell
