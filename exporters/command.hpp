#pragma once

#include "daemon/action.hpp"

#include <boost/asio/awaitable.hpp>

namespace keepwell {

// Runs the program that restarts an instance, and says what came of it. It has a deadline of its own: then
// its process group gets SIGTERM, after the grace SIGKILL. What it leaves running when it ends by itself
// stays. Never throws; what it printed is kept (last 4 KiB) whatever the result.
boost::asio::awaitable<ActionOutcome> act(CommandAction action, ActionContext context);

}  // namespace keepwell
