#pragma once

#include "daemon/problem.hpp"
#include "exporters/blackbox/module.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::blackbox {

struct LoadedModules {
    Modules modules{};
    std::vector<Problem> problems{};
    bool ok() const { return !has_errors(problems); }
};

// A file in blackbox_exporter's format. Never throws on bad input: what is wrong is told with its place.
// Secrets in files are read now. A dollar sign is no variable: expressions and lines to send are full of
// them.
LoadedModules parse_modules(std::string_view text, const std::string& file, const std::string& directory);

}  // namespace keepwell::blackbox
