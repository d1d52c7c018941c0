#pragma once

#include "daemon/action.hpp"
#include "probes/engine.hpp"

namespace keepwell {

// Which container keepwell itself runs in; see probes/own_container.hpp.
struct OwnContainer {
    std::optional<std::string> id{};
    std::string upper_directory{};
};
OwnContainer own_container();

// Has the Docker Engine restart the container that the context names, or do with it what the action says, and
// says what came of it. Never throws.
//
// Touches it only after it was looked at: it must be of the context's project and service (their labels, when
// it has them), be in the life that was judged, and be no one-off, not paused, not being removed, and neither
// keepwell's own nor one whose network, processes or IPC keepwell shares. What has ended is started; what
// runs is restarted, with the time to stop that it has been given when it was made; when that does not end in
// time it is killed and started.
//
//   ok              done; or it ran already when it was to be started
//   failed          the Engine says that it could not, or went away meanwhile
//   timed_out       not done in time, nor could it be killed
//   not_started     nothing was done: no Engine, no such container, not ours to touch, a conflict
//   needs_recreate  it shares a namespace of a container that is gone: every start will fail until it is made
//                   anew; the detail has the command. It was not stopped.
//
// The container of a Swarm service is never started again by itself: see exporters/docker_swarm.hpp.
asio::awaitable<ActionOutcome> act(Engine engine, DockerAction action, ActionContext context,
                                   OwnContainer self = own_container());

}  // namespace keepwell
