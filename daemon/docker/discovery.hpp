#pragma once

#include "daemon/docker/container.hpp"
#include "probes/engine.hpp"

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace keepwell::docker {

// How watching the Engine goes.
struct DiscoveryFigures {
    bool up = false;  // the last look at the Engine was answered
    std::uint64_t events = 0;
    std::uint64_t looks = 0;
    std::uint64_t failed_looks = 0;
};

// All containers of an Engine, once. Throws Failure.
asio::awaitable<std::vector<Container>> list_containers(Engine engine);

// Follows the containers of an Engine: looks at all of them at first, at those that its events name when they
// come, and at all again every minute and whenever the stream of events was interrupted. While the Engine is
// away what was seen last holds. Everything happens on the loop's thread.
class Discovery {
public:
    // Called after each look that was answered, on the loop.
    using Seen = std::function<void(const std::vector<Container>&)>;
    // Called when the Engine went away, with why, and with nothing when it is back.
    using Told = std::function<void(const std::string& trouble)>;

    Discovery(asio::io_context& loop, Engine engine, Seen seen, Told told);
    ~Discovery();
    Discovery(const Discovery&) = delete;
    Discovery& operator=(const Discovery&) = delete;

    const DiscoveryFigures& figures() const;
    bool in_touch() const;  // the last look was answered, and events flow
    // Whether what was seen last is all that there is to see: no event waits to be looked at.
    bool is_current() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace keepwell::docker
