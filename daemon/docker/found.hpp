#pragma once

#include "daemon/node.hpp"

#include <string>
#include <vector>

namespace keepwell::docker {

// One container as an instance: what it is called does not change when the container is made anew.
struct FoundInstance {
    std::string name{};       // the container's, or what takes its place where names change
    std::string container{};  // its name for the Engine
    std::string address{};    // where keepwell reaches it; empty: nowhere
    std::string life{};       // another one means: it was started since
    std::string rest{};       // why nobody should watch it now (paused, stopped by hand, ...); empty: watch
    bool operator==(const FoundInstance&) const = default;
};

// A service that runs in containers, as an entry of `services` would say it.
struct FoundService {
    std::string name{};
    std::string project{};
    std::vector<FoundInstance> instances{};
    Node settings{};       // what the containers themselves tell: probes, their times, dependencies
    Node labels{};         // what their `keepwell.*` labels ask for; these go before the configuration file
    std::string origin{};  // where the probes in `settings` come from, in words
    bool native = false;   // those are the container's health check, asked by ourselves
    bool operator==(const FoundService&) const = default;
};

// What runs in containers, and what is worth telling about it.
struct Found {
    std::string project{};  // empty: several
    std::vector<FoundService> services{};
    std::vector<std::string> notes{};
    bool operator==(const Found&) const = default;
};

}  // namespace keepwell::docker
