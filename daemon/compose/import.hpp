#pragma once

#include "daemon/problem.hpp"
#include "daemon/variables.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::compose {

// A keepwell.yaml made from a Compose model.
struct Imported {
    std::string yaml{};  // with comments: what was translated from what, and what could not be
    std::vector<Problem> problems{};
    std::size_t services = 0;
    std::size_t translated = 0;  // services whose own health check was understood
    std::size_t guessed = 0;     // services watched by a guess from image and ports
    bool ok() const { return !has_errors(problems); }
};

// `text` is what `docker compose config` prints (JSON or YAML), or a Compose file. Secrets that the file
// spells out are not copied: the configuration names variables in their place.
Imported import_compose(std::string_view text, std::string_view file,
                        const Variables& variables = environment);

}  // namespace keepwell::compose
