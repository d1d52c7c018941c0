#pragma once

#include "probes/dns_channel.hpp"

#include <string>
#include <unordered_map>

namespace keepwell {

// What is still known about names that were asked for: bounded in entries and in time. Pure: time is passed
// in.
//
// An answer is kept for its TTL, but never longer than `longest`: an instance that comes back under another
// address must be found again by the next attempts, whatever a server promised (Docker's says 600 s for every
// container). A negative answer is kept for a moment only, so that many probes of one missing name ask once.
class NameCache {
public:
    static constexpr std::chrono::seconds longest{5};
    static constexpr std::chrono::seconds negative{1};

    explicit NameCache(std::size_t most_entries = 16'384) : most_entries_{most_entries} {}

    void put(const std::string& name, const DnsReply& reply, Clock::time_point now)
    {
        const auto kept = reply.status == DnsStatus::found ? std::min(reply.ttl, longest) : negative;
        if (kept.count() <= 0) {
            entries_.erase(name);
            return;
        }
        if (entries_.size() >= most_entries_ && !entries_.contains(name))
            make_room(now);
        entries_.insert_or_assign(name, Entry{reply, now + kept});
    }

    // Nothing when the name is unknown or its answer has expired.
    const DnsReply* find(const std::string& name, Clock::time_point now)
    {
        const auto found = entries_.find(name);
        if (found == entries_.end())
            return nullptr;
        if (found->second.until <= now) {
            entries_.erase(found);
            return nullptr;
        }
        return &found->second.reply;
    }

    void forget(const std::string& name) { entries_.erase(name); }
    void clear() { entries_.clear(); }
    std::size_t size() const { return entries_.size(); }

private:
    struct Entry {
        DnsReply reply;
        Clock::time_point until;
    };

    void make_room(Clock::time_point now)
    {
        std::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
        if (entries_.size() >= most_entries_)
            entries_.erase(entries_.begin());
    }

    std::size_t most_entries_;
    std::unordered_map<std::string, Entry> entries_{};
};

}  // namespace keepwell
