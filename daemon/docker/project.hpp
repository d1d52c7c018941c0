#pragma once

#include "daemon/docker/container.hpp"
#include "daemon/docker/found.hpp"

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace keepwell::docker {

// Whose containers are watched.
struct Scope {
    bool all = false;
    std::vector<std::string> projects{};  // empty and not all: keepwell's own
    std::set<std::string>
        by_verdict{};  // services whose health check passes inside only: Docker's word counts
};

// The container that keepwell runs in.
struct Self {
    std::string id{};  // empty: it runs on the host itself
    std::string project{};
    std::set<std::string> networks{};  // ids
    bool on_host_network() const { return id.empty() || networks.empty(); }
};
Self self_of(const Container& own);

// Addresses that instances had when they ran, by container name: what has stopped keeps the one it had.
using Addresses = std::map<std::string, std::string>;

// The services that the containers make up: Compose's and Swarm's by their labels, others by their names.
// One-off containers and half-made replacements are passed over, and so is keepwell itself. Edges that close
// a circle are dropped and noted. Pure; `known` is brought up to date.
Found find_services(std::span<const Container> containers, const Scope& scope, const Self& self,
                    Addresses& known);

}  // namespace keepwell::docker
