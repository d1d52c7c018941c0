#pragma once

#include "probes/engine.hpp"

#include <chrono>
#include <map>

namespace keepwell {

// What the Engine says of one container (GET /containers/NAME/json); what is missing stays empty.
struct Container {
    std::string id{};
    std::string name{};    // without the slash before it
    std::string image{};   // as it was named when the container was made
    std::string status{};  // created, running, paused, restarting, removing, exited or dead
    int exit_code = 0;
    bool oom_killed = false;
    std::string error{};  // why it could not be started
    std::string started_at{};
    int restart_count = 0;  // by the Engine's restart policy; set to 0 by every start from outside

    // Of its health check: starting, healthy or unhealthy; empty without one. Docker also says `unhealthy` of
    // what it does not check just now: look at `status` first.
    std::string health{};
    int failing_streak = 0;
    std::string health_output{};  // of the last check, printable

    std::map<std::string, std::string> labels{};
    std::optional<std::chrono::seconds> stop_timeout{};  // before a stop becomes a kill; the Engine's is 10 s
    std::string network_mode{};                          // `container:ID` when it is another container's
    std::string pid_mode{};
    std::string ipc_mode{};
    bool auto_remove = false;       // it is gone when it ends
    std::string upper_directory{};  // see own_upper_directory()

    std::string label(const std::string& key) const;
};

// Throws Failure (protocol_error) when it is none.
Container container_in(std::string_view json);

// Nothing: there is no such container. Throws Failure, as Engine::call does.
asio::awaitable<std::optional<Container>> inspect(Engine engine, std::string name,
                                                  Clock::time_point deadline);

// In one line how it is: "exited with code 137, killed for want of memory".
std::string words_for(const Container& container);

}  // namespace keepwell
