#pragma once

#include <string>

namespace keepwell {

// docs/reference.md: every key of a configuration with its type, default and meaning, from the field tables.
std::string reference_page();

}  // namespace keepwell
