#pragma once

#include "daemon/docker/container.hpp"
#include "daemon/node.hpp"

#include <string>

namespace keepwell::docker {

// How a container is asked when nobody says: its own health check in probes of ours where that can be, else
// Docker's verdict on it, else a guess from its image and ports, which never is a reason for a restart.
struct Probing {
    Node settings{};       // keys of an entry of `services`: probes and their times
    std::string origin{};  // where they come from, in words
};

// `reachable`: keepwell has an address of it. The probes say {address} and {container}.
Probing probing_of(const Container& container, bool reachable);

}  // namespace keepwell::docker
