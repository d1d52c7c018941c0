#pragma once

#include <string>

namespace keepwell {

// The answer of /api/v1/status as a table for a terminal: one line per instance, then what is held and what
// was done. Throws std::runtime_error when the document is not what it should be.
std::string status_table(const std::string& status_json, bool color);

}  // namespace keepwell
