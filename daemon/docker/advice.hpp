#pragma once

#include "daemon/docker/container.hpp"

#include <string>
#include <vector>

namespace keepwell::docker {

// Known traps that a container's health check has fallen into, in words, with what to do. `api` is the
// version of the Engine's API, as 1.41 -> 141; 0 when it is not known.
std::vector<std::string> advice_on(const Container& container, int api);

}  // namespace keepwell::docker
