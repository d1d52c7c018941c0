#pragma once

#include "daemon/problem.hpp"

#include <optional>

namespace keepwell {

// The first thing in a text that makes it no UTF-8 text fit for a YAML parser: a NUL or another control
// character, bytes that are not UTF-8, or so many brackets opened in one line that the parser would drown in
// them.
std::optional<Problem> unreadable(std::string_view text);

}  // namespace keepwell
