#pragma once

#include "daemon/reader.hpp"
#include "daemon/receiver.hpp"
#include "daemon/stack.hpp"

#include <set>

namespace keepwell {

// What no single service can know: dependencies on services that are not there, and dependencies in a circle.
// `services` is the node of `services:`, in the order of `stack.services`; what is wrong is told at its place
// in there. Optional dependencies on services that are not there are removed.
using OptionalEdges =
    std::set<std::pair<std::size_t, std::string>>;  // which service, and what it may do without
void check_dependencies(Reader& reader, const Node& services, StackSpec& stack,
                        const OptionalEdges& optional_edges);

// Names of webhooks are words for a command line and a log, and each is one receiver's alone. `list` is the
// node of `webhooks:`.
void check_webhook_names(Reader& reader, const Node& list, const std::vector<WebhookSettings>& webhooks);

// What probably is not meant: services that nothing probes, gates that are never asked, `act` without a
// command.
void warn_of_oversights(Reader& reader, const Node& services, const StackSpec& stack);

}  // namespace keepwell
