#pragma once

#include "daemon/node.hpp"
#include "daemon/stack.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::compose {

// A service's `healthcheck`. Times are texts as in the file; empty ones are Docker's defaults.
struct Healthcheck {
    std::vector<std::string>
        test{};  // as the Engine has it: CMD, CMD-SHELL or NONE first; empty: the image's
    std::string interval{};
    std::string timeout{};
    std::string retries{};
    std::string start_period{};
    std::string start_interval{};
    bool operator==(const Healthcheck&) const = default;
};

// What keepwell wants to know of one service of a Compose file.
struct ServiceModel {
    std::string name{};
    std::string image{};  // empty when it is only built
    Healthcheck healthcheck{};
    std::vector<Edge> depends_on{};  // also by links and shared namespaces, which restart
    std::map<std::string, std::string> environment{};
    std::vector<std::string> ports{};  // TCP ports of the container, published and exposed
    std::string network_of{};          // the service whose network namespace it shares; empty: its own
    bool host_network = false;
    int replicas = 1;
    Mark mark{};
};

struct Model {
    std::string project{};
    std::vector<ServiceModel> services{};  // in the order of the file
};

// Reads a Compose model, as `docker compose config` prints it or as people write it. What keepwell has no use
// for is passed over; what it needs and cannot read is a problem.
Model read_model(const Node& root, std::string_view file, std::vector<Problem>& problems);

}  // namespace keepwell::compose
