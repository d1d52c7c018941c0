#pragma once

#include "daemon/stack.hpp"

#include <vector>

namespace keepwell {

// Where a service stands in the drawing of who depends on whom: in columns from left to right, the last one
// of those that need nobody, and in rows within.
struct GraphPlace {
    ServiceId service = 0;
    std::size_t column = 0;
    std::size_t row = 0;
    bool operator==(const GraphPlace&) const = default;
};

// Places the services for which `shown` is set and which depend on another one that is, or are depended on.
// Every edge goes to a column further right. Rows are ordered so that few edges cross. Pure.
std::vector<GraphPlace> graph_places(const Stack& stack, const std::vector<bool>& shown);

}  // namespace keepwell
