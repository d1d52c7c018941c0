#pragma once

#include "daemon/stack.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace keepwell {

// `instances: all`: every address that a service's probes resolve to is an instance of its own. Pure: who
// resolves and when is somebody else's business.
using NameAddresses = std::map<std::string, std::vector<std::string>>;  // numeric, sorted

// The names whose addresses are instances.
std::set<std::string> names_to_follow(const StackSpec& spec);

// The stack with one instance per address, named by it. A service whose names have no known address keeps its
// one instance, whose probes then say that the name does not resolve.
StackSpec expanded(StackSpec spec, const NameAddresses& addresses);

}  // namespace keepwell
