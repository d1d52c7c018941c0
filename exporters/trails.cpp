#include "exporters/trails.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace keepwell {

namespace {

// Of two states, the one that a person would rather hear of has the higher rank.
int rank(State state)
{
    switch (state) {
        case State::healthy: return 0;
        case State::paused: return 1;
        case State::maintenance: return 2;
        case State::starting: return 3;
        case State::unknown: return 4;
        case State::unhealthy: return 5;
    }
    return 0;
}

void count(std::uint16_t& number)
{
    if (number < std::numeric_limits<std::uint16_t>::max())
        ++number;
}

}  // namespace

// Minutes in which nothing was heard were spent in the state before them.
void Trails::Trail::reach(std::int64_t minute)
{
    if (minute <= newest)
        return;
    for (auto each = std::max(newest + 1, minute - static_cast<std::int64_t>(minutes) + 1); each <= minute;
         ++each)
        at(each) = {.known = true, .worst = state};
    newest = minute;
}

void Trails::attach(const Monitor& monitor, Clock::time_point now)
{
    std::unordered_map<std::string, Trail> before;
    for (std::size_t id = 0; id < names_.size(); ++id)
        before.emplace(std::move(names_[id]), trails_[id]);
    names_.clear();
    trails_.clear();
    monitor_ = &monitor;
    const auto services = monitor.stack().services();
    for (ServiceId id = 0; id < services.size(); ++id) {
        const auto found = before.find(services[id].spec->name);
        auto& trail =
            trails_.emplace_back(found == before.end() ? Trail{.newest = minute_of(now) - 1} : found->second);
        trail.reach(minute_of(now) - (found == before.end() ? 1 : 0));
        trail.state = monitor.service(id).state;
        trail.reach(minute_of(now));
        names_.push_back(services[id].spec->name);
    }
}

Trails::Hour Trails::of(ServiceId id, Clock::time_point now) const
{
    auto trail = trails_[id];
    trail.reach(minute_of(now));
    Hour hour;
    for (std::size_t i = 0; i < minutes; ++i)
        hour[i] = trail.at(trail.newest + 1 + static_cast<std::int64_t>(i));
    return hour;
}

void Trails::attempted(ProbeId id, const ProbeResult& result, const Health&)
{
    if (result.outcome == Outcome::not_attempted)
        return;
    const auto instance = monitor_->stack().probes()[id].instance;
    auto& trail = trails_[monitor_->stack().instances()[instance].service];
    trail.reach(minute_of(result.started + result.took));
    auto& minute = trail.at(trail.newest);
    count(minute.attempts);
    if (result.outcome != Outcome::ok) {
        count(minute.failed);
    } else if (minute.answered < std::numeric_limits<std::uint16_t>::max()) {
        ++minute.answered;
        minute.seconds += std::chrono::duration<float>(result.took).count();
    }
}

void Trails::service_changed(ServiceId id, State, State after, Clock::time_point at)
{
    auto& trail = trails_[id];
    trail.reach(minute_of(at));
    trail.state = after;
    auto& minute = trail.at(trail.newest);
    if (rank(after) > rank(minute.worst))
        minute.worst = after;
}

}  // namespace keepwell
