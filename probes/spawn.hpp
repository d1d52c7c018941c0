#pragma once

#include "probes/probe.hpp"

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace keepwell {

// What is to be started, and in which surroundings.
struct Program {
    std::vector<std::string> argv{};  // looked up in PATH unless it has a slash; no shell is involved
    std::map<std::string, std::string> environment{};  // added to ours, see environment.hpp
    std::string directory{};                           // empty: ours
    std::string user{};                                // see account.hpp; empty: ours
};

// A process that has just been started. The caller owns both: it must reap the one and close the other.
struct Spawned {
    pid_t pid = 0;
    int output = -1;  // the end of the pipe from which its standard output and error are read; does not block
};

// Starts a program by posix_spawn, which does not copy our memory, however large we are: in a process group
// of its own, with /dev/null as input, no other descriptor, no signal mask or disposition and no raised limit
// of ours. Throws Failure: not_executable when the program is missing, resource_exhausted when descriptors or
// processes are, bad_configuration when directory or user are wrong, permission_denied when only root could.
// On return one descriptor fewer is taken than during the call, so that a pidfd finds a place.
Spawned spawn(Program program);

// Throws the Failure that an error of the operating system while starting a program amounts to.
[[noreturn]] void cannot_start(const std::string& what, int error);

}  // namespace keepwell
