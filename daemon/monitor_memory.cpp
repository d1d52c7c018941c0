// What a monitor takes over from the one before it, or from a file.
#include "daemon/monitor.hpp"

#include <algorithm>
#include <utility>

namespace keepwell {

// While its restart is under way nobody else may begin one, not even the keepwell after this one.
RestartRecord Monitor::record_to_keep(InstanceId id) const
{
    auto record = instances_[id].record;
    if (instance_notes_[id].acting)
        record.not_before = std::max(record.not_before, instance_notes_[id].deadline);
    return record;
}

// What was there before a reload and is not there after it.
void Monitor::miss(const Monitor& before, Clock::time_point now)
{
    for (ServiceId id = 0; id < before.services_.size(); ++id) {
        const auto& row = before.stack_.services()[id];
        const auto& view = before.services_[id];
        const auto same = stack_.find(row.spec->name);
        if (!same && view.maintenance)
            departed_.leave({row.spec->name, {}}, {.maintenance = view.maintenance_note, .left = now});
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each) {
            const auto& name = before.stack_.instances()[each].spec->name;
            if (same && stack_.find(*same, name))
                continue;
            if (const auto record = before.record_to_keep(each); record != RestartRecord{})
                departed_.leave({row.spec->name, name}, {.record = record, .left = now});
        }
    }
}

// A service that was away is back, perhaps.
void Monitor::welcome_service(ServiceId id)
{
    const auto& row = stack_.services()[id];
    if (const auto entry = departed_.take({row.spec->name, {}}); entry && entry->maintenance) {
        services_[id].maintenance = true;
        services_[id].maintenance_note = *entry->maintenance;
    }
    for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
        welcome(each);
}

void Monitor::welcome(InstanceId id)
{
    const auto& row = stack_.instances()[id];
    if (const auto entry = departed_.take({stack_.services()[row.service].spec->name, row.spec->name}))
        instances_[id].record = entry->record;
}

void Monitor::restore(const Departed::Key& key, const Departed::Entry& entry)
{
    const auto service = stack_.find(key.first);
    const auto instance = service ? stack_.find(*service, key.second) : std::nullopt;
    if (service && entry.maintenance)
        restore(*service, true, *entry.maintenance);
    else if (instance)
        restore(*instance, entry.record);
    else
        departed_.leave(key, entry);
}

void Monitor::restore(ServiceId id, bool maintenance, const std::string& note)
{
    maintain(id, maintenance, note, latest_);
}

void Monitor::restore(InstanceId id, const RestartRecord& record)
{
    instances_[id].record = record;
    mark(id);
}

void Monitor::adopt(const Monitor& before, Clock::time_point now)
{
    now = tick(std::max(now, before.latest_));
    random_ = before.random_;
    blind_ = before.blind_;
    doubt_ = before.doubt_;
    doubt_reason_ = before.doubt_reason_;
    blind_reason_ = before.blind_reason_;
    freeze_reason_ = before.freeze_reason_;
    thawed_at_ = before.thawed_at_;
    eyes_worked_at_ = before.eyes_worked_at_;
    self_checked_at_ = before.self_checked_at_;
    all_failing_since_ = before.all_failing_since_;
    departed_ = before.departed_;
    miss(before, now);
    for (ServiceId id = 0; id < services_.size(); ++id) {
        const auto& row = stack_.services()[id];
        const auto old = before.stack_.find(row.spec->name);
        if (!old) {
            welcome_service(id);
            continue;
        }
        services_[id] = before.services_[*old];
        service_notes_[id] = before.service_notes_[*old];
        for (auto each = row.first_instance; each < row.first_instance + row.instance_count; ++each)
            if (const auto same = before.stack_.find(*old, stack_.instances()[each].spec->name))
                adopt(each, before, *same);
            else
                welcome(each);
    }
    recount();
    const auto told = std::exchange(sinks_, {});
    refresh_all(now);
    for (ServiceId id = 0; id < services_.size(); ++id) {
        refresh_service(id, now);
        refresh_root_causes(id);
    }
    refresh_doubt(now);
    sinks_ = told;
    for (InstanceId id = 0; id < instances_.size(); ++id)
        if (instance_notes_[id].unproven)
            unproven_.push_back(id);
    for (InstanceId id = 0; id < instances_.size(); ++id)
        mark(id);
}

void Monitor::adopt(InstanceId id, const Monitor& before, InstanceId old)
{
    auto& view = instances_[id];
    auto& notes = instance_notes_[id];
    const bool probed = notes.probed;
    view = before.instances_[old];
    notes = before.instance_notes_[old];
    notes.queued = notes.waiting = false;
    notes.probed = probed;
    notes.place = {};
    notes.wake = Clock::time_point::max();
    if (view.gate == Gate::pending) {  // a reload forgets attempts under way: it will be asked again
        view.gate = Gate::none;
        view.in_flight = false;
    }
    const auto& row = stack_.instances()[id];
    for (auto each = row.first_probe; each < row.first_probe + row.probe_count; ++each) {
        const auto& spec = *stack_.probes()[each].spec;
        const auto same = before.stack_.find_probe(old, spec.name);
        if (!same || !(*before.stack_.probes()[*same].spec == spec))
            continue;
        probes_[each] = before.probes_[*same];
        probe_notes_[each] = before.probe_notes_[*same];
    }
}

}  // namespace keepwell
