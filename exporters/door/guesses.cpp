#include "exporters/door/guesses.hpp"

namespace keepwell {

Clock::duration Guesses::wait(const std::string& peer, const std::string& user, Clock::time_point now) const
{
    const auto found = users_.find({peer, user});
    return found == users_.end() ? Clock::duration{} : found->second.wait(per_user, now);
}

Clock::duration Guesses::count(const std::string& peer, const std::string& user, Clock::time_point now)
{
    forget_old(now);
    // Also when the peer has none left: its tries would tell it which password is right otherwise.
    auto& by_user = users_[{peer, user}];
    if (!by_user.take(per_user, now))
        return by_user.wait(per_user, now);
    auto& by_peer = peers_[peer];
    return by_peer.take(per_peer, now) ? Clock::duration{} : by_peer.wait(per_peer, now);
}

void Guesses::forgive(const std::string& peer, const std::string& user)
{
    if (const auto found = users_.find({peer, user}); found != users_.end())
        found->second.give_back(per_user);
    if (const auto found = peers_.find(peer); found != peers_.end())
        found->second.give_back(per_peer);
}

// Entries that do not fill up again are as many as there were tries lately, and these are as slow as bcrypt
// is.
void Guesses::forget_old(Clock::time_point now)
{
    if (size() < next_look_)
        return;
    const auto is_full = [now](const auto& entry) { return entry.second.is_full(now); };
    std::erase_if(users_, is_full);
    std::erase_if(peers_, is_full);
    next_look_ = std::max<std::size_t>(256, 2 * size());
}

}  // namespace keepwell
