#pragma once

#include "daemon/monitor.hpp"

#include <string>

namespace keepwell {

// One line on a service for `/health/SERVICE`, alerts and the like: `unhealthy: redis connection_refused,
// ...`. It may hold what a server said.
std::string health_line(const Monitor& monitor, ServiceId id);

}  // namespace keepwell
