#include "daemon/docker/advice.hpp"

#include "daemon/compose/healthcheck.hpp"

#include <fmt/format.h>

namespace keepwell::docker {

namespace {

constexpr int first_api_with_start_interval = 144;
constexpr std::int64_t minute = 60'000'000'000;

std::string seconds(std::int64_t nanoseconds)
{
    return fmt::format("{:g}s", static_cast<double>(nanoseconds) / 1e9);
}

// From a hang right after a good answer to `unhealthy` (moby daemon/health.go: the interval is counted from
// the end of an attempt).
std::int64_t slowest_verdict(const Healthcheck& check)
{
    const std::int64_t interval = check.interval > 0 ? check.interval : minute / 2;
    const std::int64_t timeout = check.timeout > 0 ? check.timeout : minute / 2;
    const std::int64_t retries = check.retries > 0 ? check.retries : 3;
    return retries * (interval + timeout);
}

bool checks_nothing(const Healthcheck& check)
{
    const auto probes = compose::translate(
        check.test, {"localhost", [](std::string_view) { return std::optional<std::string>{}; }});
    return !probes && probes.error().why == compose::Untranslated::Why::checks_nothing;
}

}  // namespace

std::vector<std::string> advice_on(const Container& container, int api)
{
    const auto& check = container.healthcheck;
    std::vector<std::string> found;
    if (check.test.empty())
        return found;
    if (check.start_interval > 0 && check.start_period <= 0)
        found.emplace_back("start_interval has no effect without start_period: add one");
    if (check.start_interval > 0 && api > 0 && api < first_api_with_start_interval)
        found.emplace_back(
            "this Engine does not know start_interval (it needs 25.0): attempts come every interval");
    if (checks_nothing(check))
        found.emplace_back("its health check succeeds whatever happens: let it ask the service something");
    if (slowest_verdict(check) > 2 * minute)
        found.push_back(fmt::format("a hang is noticed after up to {}: shorten interval, timeout or retries",
                                    seconds(slowest_verdict(check))));
    if (container.restart_policy.empty() || container.restart_policy == "no")
        found.emplace_back("Docker does not start it again when it ends: consider restart: unless-stopped");
    return found;
}

}  // namespace keepwell::docker
