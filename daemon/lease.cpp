#include "daemon/lease.hpp"

namespace keepwell {

std::vector<std::string> LeaseSettings::faults() const
{
    std::vector<std::string> found;
    if (!username.empty() && password.empty())
        found.emplace_back("username needs a password");
    if (key.empty())
        found.emplace_back("key must not be empty");
    return found;
}

void Lease::note(LeaseAnswer answer, Clock::time_point asked)
{
    const bool silent_too_long = asked - asked_ >= ttl_;
    if (answer == LeaseAnswer::anothers || silent_too_long)
        held_since_.reset();
    if (answer == LeaseAnswer::ours && !held_since_)
        held_since_ = asked;
    asked_ = asked;
}

bool Lease::acts(Clock::time_point now) const
{
    return held_since_ && now - *held_since_ >= ttl_ && now - asked_ < ttl_;
}

}  // namespace keepwell
