#pragma once

#include "deploy/app/settings.hpp"

#include <functional>

namespace keepwell::app {

// The API: health of its own dependencies, visits in Redis, users in a database, jobs for the worker.
// It starts while they are down, answers 503 with their names meanwhile, and goes on when they are back.
// Runs until `wait_for_stop` returns; the exit status.
int run_api(const Settings& settings, const std::function<void()>& wait_for_stop);

}  // namespace keepwell::app
