#include "probes/heartbeats.hpp"

#include <algorithm>

namespace keepwell {

void Heartbeats::beat(const std::string& name, Clock::time_point at)
{
    beats_[name] = {.at = at, .came = true};
}

void Heartbeats::seen(const std::string& name) { beats_[name].came = true; }

void Heartbeats::resumed(Clock::time_point now)
{
    for (auto& [name, last] : beats_)
        last.at = std::max(last.at, now);
}

Heartbeats::Last Heartbeats::last(const std::string& name, Clock::time_point now)
{
    return beats_.try_emplace(name, Last{.at = now}).first->second;
}

Clock::duration Heartbeats::age_of(const std::string& what, std::int64_t stamp, Clock::duration age,
                                   Clock::time_point now)
{
    const auto [found, is_new] = sightings_.try_emplace(what, Sighting{.stamp = stamp, .first = now});
    auto& sighting = found->second;
    if (!is_new && sighting.stamp != stamp)
        sighting = {.stamp = stamp, .first = now, .without = sighting.looked};
    sighting.looked = now;
    const auto least = now - sighting.first;
    const auto most = sighting.without ? now - *sighting.without : Clock::duration::max();
    return std::clamp(age, least, most);
}

}  // namespace keepwell
