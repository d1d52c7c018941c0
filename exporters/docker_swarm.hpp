#pragma once

#include "daemon/action.hpp"
#include "probes/container.hpp"

namespace keepwell {

// Is it a task of a Swarm service?
bool is_task(const Container& container);

// Replaces a task of a Swarm service, on a manager only. A service with one replica gets a forced update,
// which keeps the order that it is configured with. Of a service with several, which a forced update would
// replace one after the other, only this task's container is ended: Swarm puts another one in its place.
// Where it would not (its restart condition is `none`), and with `update`, it is a forced update, too.
//
// Throws Failure; not_started: this node is no manager, or an update is under way already.
asio::awaitable<ActionOutcome> renew_task(Engine engine, Container container, DockerVerb verb,
                                          Clock::time_point deadline);

}  // namespace keepwell
