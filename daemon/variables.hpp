#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// Where the values of ${VAR} come from; nothing for a variable that is not set.
using Variables = std::function<std::optional<std::string>(std::string_view name)>;

// The variables of the process.
std::optional<std::string> environment(std::string_view name);

// Replaces, as Compose does, `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `${VAR:+other}` (without the
// colon an empty value counts as set), and `$$` by a dollar sign. Defaults may hold further `${...}`. A
// dollar sign before anything else stays, so that regular expressions and password hashes need no care. The
// error says what is wrong without repeating the text, which may be a secret.
std::expected<std::string, std::string> expand(std::string_view text, const Variables& variables);

}  // namespace keepwell
