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
    bool native = false;   // they are the container's health check, asked by ourselves
};

// The probes say {address} and {container}.
enum class Access : std::uint8_t {
    open,        // keepwell has an address of it
    closed,      // no network in common
    taken,       // it does not run, and its address is another container's by now
    misleading,  // what passes inside does not from here: it listens on its own loopback only
};
Probing probing_of(const Container& container, Access access);

}  // namespace keepwell::docker
