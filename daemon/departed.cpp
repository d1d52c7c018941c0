#include "daemon/departed.hpp"

#include <algorithm>
#include <chrono>

namespace keepwell {

namespace {

constexpr std::chrono::hours longest{24};
constexpr std::size_t most = 1000;

}  // namespace

void Departed::leave(Key key, Entry entry)
{
    const auto now = entry.left;
    entries_.insert_or_assign(std::move(key), std::move(entry));
    std::erase_if(entries_, [&](const auto& each) { return now - each.second.left > longest; });
    if (entries_.size() > most)
        entries_.erase(
            std::ranges::min_element(entries_, {}, [](const auto& each) { return each.second.left; }));
}

std::optional<Departed::Entry> Departed::take(const Key& key)
{
    const auto found = entries_.find(key);
    if (found == entries_.end())
        return {};
    auto entry = std::move(found->second);
    entries_.erase(found);
    return entry;
}

}  // namespace keepwell
