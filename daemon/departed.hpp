#pragma once

#include "daemon/restart.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace keepwell {

// What is remembered of services and instances that are not there just now. A configuration that was saved
// half-written, or a container between its removal and its return, must not cost maintenance, a quarantine or
// a budget. Bounded: a day, and no more than 1,000 of them.
class Departed {
public:
    struct Entry {
        std::optional<std::string> maintenance{};  // of a service: the note, when it was in maintenance
        RestartRecord record{};                    // of an instance
        Clock::time_point left{};
    };
    using Key =
        std::pair<std::string, std::string>;  // service and instance; of the service itself an empty one

    // Forgets the oldest when there are too many, and what left more than a day before this one.
    void leave(Key key, Entry entry);
    // It is back: what was remembered of it, once.
    std::optional<Entry> take(const Key& key);

    const std::map<Key, Entry>& all() const { return entries_; }

private:
    std::map<Key, Entry> entries_{};
};

}  // namespace keepwell
