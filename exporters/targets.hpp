#pragma once

#include "daemon/monitor.hpp"

#include <map>
#include <string>

namespace keepwell {

// What is probed, as Prometheus' HTTP service discovery wants it
// (prometheus.io/docs/prometheus/latest/http_sd): a target per probe that has an address, with labels that
// relabelling may keep: __meta_keepwell_project, _service, _instance, _probe, _kind, _role and _address. A
// URL comes without its query, which may hold secrets. `wanted` leaves only those whose labels, named without
// the prefix, have these values.
std::string targets_json(const Monitor& monitor, const std::map<std::string, std::string>& wanted);

}  // namespace keepwell
