#include "daemon/health_line.hpp"

namespace keepwell {

std::string health_line(const Monitor& monitor, ServiceId id)
{
    const auto& row = monitor.stack().services()[id];
    std::string line{name_of(monitor.service(id).state)};
    for (InstanceId i = row.first_instance; i < row.first_instance + row.instance_count; ++i) {
        const auto& instance = monitor.stack().instances()[i];
        if (monitor.instance(i).state == State::healthy)
            continue;
        for (std::size_t p = 0; p < instance.probe_count; ++p) {
            const auto& last = monitor.probe(instance.first_probe + p).last;
            if (last.started == Clock::time_point{} || last.outcome == Outcome::ok)
                continue;
            line += ": ";
            if (row.instance_count > 1)
                line += instance.spec->name + " ";
            line += instance.spec->probes[p].name + " " + std::string{to_string(last.reason)};
            return last.detail.empty() ? line : line + ", " + last.detail;
        }
    }
    return line;
}

}  // namespace keepwell
