#include "tests/sim/world.hpp"

#include <algorithm>

namespace keepwell::sim {

namespace {

// Of all instances together; a year has some two thousand faults of single instances and a hundred around
// them.
constexpr auto fault_every = 4h;
constexpr auto trouble_every = 72h;

}  // namespace

World::World(const Stack& stack, std::uint64_t seed)
    : stack_{stack}, random_{seed}, bodies_(stack.instances().size()), serving_(stack.services().size())
{
    const Time start = Time{} + 1h;
    for (auto& body : bodies_)
        body.boots_until = start;
    next_fault_ = start + 30min + random_.until_next(fault_every);
    next_trouble_ = start + 1h + random_.until_next(trouble_every);
    settle(start);
}

bool World::own_well(InstanceId id, Time now) const
{
    const auto& body = bodies_[id];
    return body.ill == Body::Ill::none && now >= body.boots_until && !body.paused;
}

bool World::needs_serve(ServiceId id) const
{
    return std::ranges::all_of(stack_.services()[id].needs,
                               [&](ServiceId need) { return serving_[need].on; });
}

bool World::answers(InstanceId id, Time now) const
{
    return own_well(id, now) && needs_serve(stack_.instances()[id].service);
}

Time World::calm_since() const { return std::max({offline_until_, exhausted_until_, overloaded_until_}); }

void World::happen(Time now)
{
    while (next_fault_ <= now) {
        fall_ill(random_.below(bodies_.size()), now);
        next_fault_ += random_.until_next(fault_every);
    }
    while (next_trouble_ <= now) {
        trouble_around(now);
        next_trouble_ += random_.until_next(trouble_every);
    }
    for (InstanceId id = 0; id < bodies_.size(); ++id)
        change_by_time(id, now);
    settle(now);
}

void World::change_by_time(InstanceId id, Time now)
{
    auto& body = bodies_[id];
    if (body.repaired_at <= now)
        repair(id, now);
    if (body.mends_at > now)
        return;
    body.mends_at = never;
    if (body.flaps_until > now) {
        const bool ill = body.ill != Body::Ill::none;
        body.ill = ill ? Body::Ill::none : Body::Ill::erroring;
        body.mends_at = now + random_.between(5s, 60s);
    } else {
        body.ill = Body::Ill::none;
    }
}

void World::fall_ill(InstanceId id, Time now)
{
    auto& body = bodies_[id];
    if (body.ill != Body::Ill::none || body.hopeless || body.bad_config)
        return;
    const auto dice = random_.unit();
    if (dice < 0.30) {
        ++counts_.crashes;
        body.ill = Body::Ill::crashed;
    } else if (dice < 0.50) {
        ++counts_.hangs;
        body.ill = Body::Ill::hung;
    } else if (dice < 0.60) {
        ++counts_.errors;
        body.ill = Body::Ill::erroring;
    } else if (dice < 0.85) {
        ++counts_.blips;
        body.ill = random_.chance(0.5) ? Body::Ill::hung : Body::Ill::erroring;
        body.mends_at = now + (random_.chance(0.7) ? random_.between(1s, 25s) : random_.between(25s, 5min));
    } else if (dice < 0.91) {
        ++counts_.flaps;
        body.ill = Body::Ill::erroring;
        body.flaps_until = now + random_.between(10min, 60min);
        body.mends_at = now + random_.between(5s, 60s);
    } else if (dice < 0.96) {
        ++counts_.hopeless;
        body.ill = random_.chance(0.5) ? Body::Ill::crashed : Body::Ill::hung;
        body.hopeless = true;
        body.repaired_at = now + random_.between(30min, 12h);
    } else {
        ++counts_.bad_configs;
        body.bad_config = true;
        body.ill = Body::Ill::crashed;
        body.repaired_at = now + random_.between(10min, 6h);
    }
}

void World::trouble_around(Time now)
{
    const auto dice = random_.unit();
    if (dice < 0.4) {
        ++counts_.outages;  // names do not resolve, or our own network is gone: nothing answers us
        offline_until_ = now + random_.between(10s, 20min);
    } else if (dice < 0.7) {
        ++counts_.overloads;
        overloaded_until_ = now + random_.between(5min, 60min);
    } else if (dice < 0.9) {
        ++counts_.exhaustions;  // we have no file descriptors left
        exhausted_until_ = now + random_.between(10s, 10min);
    } else {
        for (InstanceId id = 0; id < bodies_.size(); ++id)  // the host hiccups: half of all crash at once
            if (bodies_[id].ill == Body::Ill::none && random_.chance(0.5)) {
                ++counts_.crashes;
                bodies_[id].ill = Body::Ill::crashed;
            }
    }
}

void World::stop_process(InstanceId id, Time now)
{
    auto& body = bodies_[id];
    body.ill = Body::Ill::crashed;
    body.mends_at = never;
    body.flaps_until = {};
    settle(now);
}

void World::start_process(InstanceId id, Time now)
{
    auto& body = bodies_[id];
    if (!body.hopeless && !body.bad_config)
        body.ill = Body::Ill::none;
    body.mends_at = never;
    body.flaps_until = {};
    body.boots_until = now + random_.between(1s, 12s);
    settle(now);
}

void World::pause(InstanceId id, bool paused, Time now)
{
    bodies_[id].paused = paused;
    settle(now);
}

void World::repair(InstanceId id, Time now)
{
    auto& body = bodies_[id];
    ++counts_.repairs;
    body.repaired_at = never;
    body.hopeless = body.bad_config = false;
    body.ill = Body::Ill::none;
    body.boots_until = now + random_.between(1s, 12s);
}

// What follows for the services, and when something will change again.
void World::settle(Time now)
{
    for (ServiceId id = 0; id < serving_.size(); ++id) {  // dependencies come first in this stack
        const auto& row = stack_.services()[id];
        bool on = false;
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            on = on || answers(each, now);
        if (serving_[id].on == on)
            continue;
        serving_[id] = {on, now};
        if (on)
            shake(id, now);
    }
    bool well = now >= calm_since();
    next_event_ = std::min(next_fault_, next_trouble_);
    for (const auto until : {offline_until_, exhausted_until_, overloaded_until_})
        if (until > now)
            next_event_ = std::min(next_event_, until);
    for (InstanceId id = 0; id < bodies_.size(); ++id) {
        auto& body = bodies_[id];
        const bool good = own_well(id, now);
        well = well && good && body.flaps_until <= now;
        body.bad_since = good ? never : std::min(body.bad_since, now);
        for (const auto at : {body.boots_until, body.mends_at, body.repaired_at})
            if (at > now)
                next_event_ = std::min(next_event_, at);
    }
    well_since_ = well ? std::min(well_since_, now) : never;
}

// A service is back: whoever needs it has to connect anew, and some never manage.
void World::shake(ServiceId root, Time now)
{
    for (const auto dependant : stack_.services()[root].dependants) {
        const auto& row = stack_.services()[dependant];
        for (auto id = row.first_instance; id < row.first_instance + row.instance_count; ++id) {
            auto& body = bodies_[id];
            if (body.ill != Body::Ill::none)
                continue;
            if (random_.chance(0.03)) {
                ++counts_.stuck;
                body.ill = Body::Ill::erroring;
            } else {
                body.boots_until = std::max(body.boots_until, now + random_.between(0s, 15s));
            }
        }
    }
}

}  // namespace keepwell::sim
