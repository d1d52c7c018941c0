#pragma once

#include "daemon/docker/found.hpp"
#include "daemon/problem.hpp"

#include <functional>
#include <map>
#include <string>

namespace keepwell {

// What is wrong with an entry of `services` by itself.
using CheckEntry = std::function<std::vector<Problem>(const Node& entry)>;

// The `services` of a file (null: it has none) with what was found in containers. Of each found service its
// labels go before the file, and the file before what the container tells; whoever gives probes gives their
// times, too. Labels that make no entry are left out with a warning, and so are services of the file that
// need a container and have none.
struct ServicesWithFound {
    Node services{};
    std::map<std::string, std::string> origins{};  // where the probes of a found service come from
};
ServicesWithFound with_found(const Node* services, const docker::Found& found, const CheckEntry& check,
                             std::vector<Problem>& problems);

}  // namespace keepwell
