#pragma once

#include "probes/spec.hpp"

#include <optional>
#include <string>

namespace keepwell {

// The name that a probe would resolve to reach its target; nothing for a numeric address, a unix socket, or a
// kind that connects to nothing.
std::optional<std::string> name_to_resolve(const ProbeSpec& spec);

// The same probe, connecting to this numeric address instead of resolving its name; the name stays in Host
// headers and TLS.
ProbeSpec pinned(const ProbeSpec& spec, const std::string& address);

}  // namespace keepwell
