#include "daemon/timestamp.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace keepwell {

std::string rfc3339(WallTime at)
{
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at);
    const auto rest = std::chrono::floor<std::chrono::milliseconds>(at - seconds);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), rest.count());
}

}  // namespace keepwell
