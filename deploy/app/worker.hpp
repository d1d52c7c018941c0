#pragma once

#include "deploy/app/settings.hpp"

#include <functional>

namespace keepwell::app {

// Takes jobs from a Redis list, one after the other, and beats in between: a worker that is stuck in a job
// stops beating, one whose Redis is away goes on. It has no port, unless METRICS_PORT asks for one. Runs
// until `wait_for_stop` returns; the exit status.
int run_worker(const Settings& settings, const std::function<void()>& wait_for_stop);

}  // namespace keepwell::app
