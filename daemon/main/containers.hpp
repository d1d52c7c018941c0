#pragma once

#include "daemon/docker/discovery.hpp"
#include "daemon/docker/project.hpp"
#include "daemon/docker/settings.hpp"
#include "daemon/monitor.hpp"

#include <expected>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace keepwell {

// What runs in containers now, and what is worth saying of it: one look at the Engine, which the caller waits
// for. The error says in words why there is none.
struct ContainersNow {
    docker::Found found{};
    std::vector<std::string> advice{};  // `api-1: its health check ...`
};
std::expected<ContainersNow, std::string> look_at_containers(const DockerSettings& settings);

// What runs in containers, for the daemon: follows the Engine, makes services of what it sees, and tells the
// monitor of starts and pauses. Lives on the loop's thread.
class Containers {
public:
    // `changed` is called when found() is another one.
    Containers(asio::io_context& loop, DockerSettings settings, std::function<void()> changed);

    const DockerSettings& settings() const { return settings_; }
    // Null until the Engine has answered for the first time; stays as it was while the Engine is away.
    const docker::Found* found() const { return found_ ? &*found_ : nullptr; }
    const docker::DiscoveryFigures& figures() const { return discovery_.figures(); }
    // Another keepwell of the same project acts: this one watches.
    bool stands_by() const { return stands_by_; }

    // To be told of every state of an instance whose health check we ask ourselves. One that was never well
    // here while Docker calls it healthy listens on the container's loopback only: from then on Docker's word
    // counts, and changed() is called.
    void note_state(const std::string& service, const std::string& container, State state);
    // Before anything is done to such a one: it was never well here, and Docker does not call it unhealthy.
    bool is_disputed(const std::string& container) const;
    bool is_current() const { return discovery_.is_current(); }
    // Before anything is done to a container: why it is to be left as it is (stopped by hand, ...), or why
    // nobody knows just now; empty: nothing speaks against it.
    std::string reason_to_wait(const std::string& container) const;
    // As the monitor was told of it last; empty: there is no such container.
    std::string life_of(const std::string& container) const;

    // Tells the monitor what has been started since the last call, and what is not to be watched now.
    void tell(Monitor& monitor, Clock::time_point now);

private:
    void see(const std::vector<docker::Container>& containers);
    bool passes_inside_only(const std::string& container) const;
    void note(std::vector<std::string> notes);

    DockerSettings settings_;
    std::function<void()> changed_;
    std::optional<std::string> own_id_;
    docker::Addresses addresses_{};
    std::optional<docker::Found> found_{};
    std::set<std::string> noted_{};
    std::map<std::string, std::string> lives_{};      // by container
    std::map<std::string, std::string> verdicts_{};   // Docker's, by container
    std::set<std::string> was_well_{};                // containers
    std::map<std::string, std::string> unhealthy_{};  // containers, and their services
    std::set<std::string> by_verdict_{};              // services
    std::vector<docker::Container> containers_{};     // as last seen
    bool stands_by_ = false;
    docker::Discovery discovery_;
};

}  // namespace keepwell
