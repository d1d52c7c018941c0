#pragma once

#include <string>

namespace keepwell {

// docs/keepwell.schema.json: a JSON Schema (draft-07, the one that editors know best) of a configuration,
// from the field tables. It finds most of what keepwell refuses.
std::string json_schema();

}  // namespace keepwell
