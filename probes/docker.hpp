#pragma once

#include "probes/engine.hpp"

namespace keepwell {

// Does a container run, and what does Docker's own health check say of it?
struct DockerSpec {
    std::string container{};
    bool health = true;
    EngineOptions engine{};

    static constexpr std::string_view kind = "docker";
    static constexpr std::string_view summary = "a container runs, and its own health check is content";
    static constexpr auto fields()
    {
        return std::tuple{
            required("container", &DockerSpec::container, "name or id of the container"),
            optional("health", &DockerSpec::health,
                     "what its health check says counts, too, when it has one; else only that it runs"),
            optional("engine", &DockerSpec::engine,
                     "which Docker Engine is asked; unset: that of the key `docker`"),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const DockerSpec&) const = default;
};

// An Engine that does not answer is our own fault, and says nothing about the container. Notes
// `restart_count`, `oom_killed` and `exit_code`; keeps the output of the last health check.
asio::awaitable<Verdict> probe(const DockerSpec& spec, Progress& progress);

// Why this cannot be a container's name or id; empty when it can.
std::string container_fault(const std::string& name);

}  // namespace keepwell
