#pragma once

#include "probes/engine.hpp"

#include <map>

namespace keepwell {

// A program that is to run inside a container, as `docker exec` would.
struct ContainerProgram {
    std::string container{};
    std::vector<std::string> argv{};
    std::map<std::string, std::string> environment{};  // added to the container's
    std::string directory{};                           // empty: the container's
    std::string user{};                                // empty: the container's
};

// How it ended, or how far it came.
struct ContainerProgramEnd {
    std::optional<int> exit_code{};  // nothing: it had not ended by the deadline
    // The last 4 KiB, printable, without the environment's secrets. Standard output and error come through
    // pipes of their own: which was written first is not known.
    std::string output{};
};

// Runs it until `deadline`. The Engine's API has no way to end it: then it runs on, and until it ends by
// itself the same program is not started in the same container again.
//
// Throws Failure: not_running when there is no such container or it does not run; still_running for one that
// was left behind; else as Engine::call does.
asio::awaitable<ContainerProgramEnd> run_inside(Engine engine, ContainerProgram program,
                                                Clock::time_point deadline);

// Whether the Engine could not start it: no such program in the container, no such user or directory.
bool never_started(int exit_code);

}  // namespace keepwell
