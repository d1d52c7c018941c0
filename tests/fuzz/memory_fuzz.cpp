#include "daemon/memory.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/unit/stacks.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

// A state file of anybody's: whatever it says, what is remembered keeps to the policy, and what is written of
// it is read back without a complaint.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    using test::require;
    const auto now = Clock::time_point{std::chrono::hours{1}};
    const auto wall = WallTime{std::chrono::hours{24 * 365 * 56}};
    const StackSpec spec{.services = {test::service("db"), test::service("api", {{.service = "db"}})}};
    Monitor monitor{Stack{spec}, {}, now, 1};
    Alerts alerts;
    const auto complaint = recall({reinterpret_cast<const char*>(data), size}, monitor, &alerts, now, wall);
    for (const auto& [key, alert] : alerts.all())
        require(find_alert_rule(key.rule) && alert.firing() && *alert.fired_at <= wall);
    for (InstanceId id = 0; id < 2; ++id) {
        const auto& record = monitor.instance(id).record;
        const auto& policy = spec.services[id].restart;
        require(record.recent.size() <= static_cast<std::size_t>(policy.max));
        require(std::ranges::is_sorted(record.recent));
        require(record.recent.empty() || record.recent.back() <= now);
        require(record.not_before <= now + 2 * policy.backoff_max.value + policy.action_timeout().value);
        require(record.in_a_row >= 0);
        require(!complaint || !record.recent.empty());  // the safe choice: restarted a moment ago
    }
    Monitor again{Stack{spec}, {}, now, 1};
    Alerts alerts_again;
    require(!recall(memory_text(monitor, alerts, now, wall), again, &alerts_again, now, wall));
    require(alerts_again.all().size() == alerts.all().size());
    for (InstanceId id = 0; id < 2; ++id)
        require(again.instance(id).record.quarantined == monitor.instance(id).record.quarantined);
    return 0;
}
