#pragma once

#include "exporters/history.hpp"

#include <string>

namespace keepwell {

// What is known, as JSON for the API, the command line and the page. The documents are described in
// docs/api.md.
std::string status_json(const Monitor& monitor, Clock::time_point now);
std::string service_json(const Monitor& monitor, ServiceId id, Clock::time_point now);
std::string signals_json(const Monitor& monitor, const History& history, Clock::time_point now);
std::string error_json(std::string_view message);

// One line on a service for `/health/SERVICE` and its callers, such as "unhealthy: redis: connection_refused,
// ...".
std::string health_line(const Monitor& monitor, ServiceId id);

}  // namespace keepwell
