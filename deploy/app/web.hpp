#pragma once

#include "deploy/app/settings.hpp"

#include <functional>

namespace keepwell::app {

// The web front: a page that shows visits and users, `/api/...` passed on to the API, and `/ws`, a WebSocket
// (RFC 6455) that tells the number of visits when it changes and echoes what it is sent. It is healthy while
// the API is not: a restart would not help it. Runs until `wait_for_stop` returns; the exit status.
int run_web(const Settings& settings, const std::function<void()>& wait_for_stop);

}  // namespace keepwell::app
