#pragma once

#include "probes/engine.hpp"
#include "probes/field.hpp"

#include <string>
#include <tuple>
#include <vector>

namespace keepwell {

// The key `docker` of a configuration: services are found in containers.
struct DockerSettings : EngineOptions {
    std::vector<std::string> projects{};

    static constexpr auto fields()
    {
        return std::tuple_cat(
            std::tuple{optional(
                "projects", &DockerSettings::projects,
                "Compose projects or Swarm stacks to watch; `all`: every container; default: the one that "
                "keepwell's own container belongs to")},
            EngineOptions::fields());
    }
    bool operator==(const DockerSettings&) const = default;
};

}  // namespace keepwell
