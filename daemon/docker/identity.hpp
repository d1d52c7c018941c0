#pragma once

#include "daemon/docker/container.hpp"

#include <span>

namespace keepwell::docker {

// Which service a container is a copy of, by the labels that Compose and Swarm give it.
struct Identity {
    std::string project{};  // empty: it belongs to none
    std::string service{};
    std::string number{};  // of the copy: Compose's container number, Swarm's slot or node
    bool one_off = false;  // `docker compose run`
    bool swarm = false;
    auto operator<=>(const Identity&) const = default;
};
Identity identity_of(const Container& container);

// What its instance is called: its name, without what Compose puts before it for a while; of a Swarm task,
// whose names are all different, the service and the number.
std::string instance_name(const Container& container);

// The containers of which each is the one that stands for its identity: of several (a replacement that is
// half made, the tasks that Swarm keeps for its history) the running one, and of those the newest.
std::vector<const Container*> current(std::span<const Container> containers);

// Why nobody should look at a container that does not run; empty when it ought to run.
std::string reason_for_rest(const Container& container);

}  // namespace keepwell::docker
