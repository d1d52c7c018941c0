#pragma once

#include "exporters/door/token_bucket.hpp"

#include <chrono>
#include <map>
#include <string>

namespace keepwell {

// How often may somebody try a password that has not been seen to be right? So often per user and peer, so
// that nobody guesses for long, and nobody's guessing locks out another user behind the same address; and so
// often per peer in all. A pure value: the time is passed in.
class Guesses {
public:
    static constexpr Rate per_user{.interval = std::chrono::seconds{10}, .burst = 10};
    static constexpr Rate per_peer{.interval = std::chrono::seconds{2}, .burst = 50};

    // How long this peer has to wait before anything that it says for this user is looked at; zero: not at
    // all.
    Clock::duration wait(const std::string& peer, const std::string& user, Clock::time_point now) const;
    // Counts one try, which is not to be made when the result, how long to wait, is not zero.
    Clock::duration count(const std::string& peer, const std::string& user, Clock::time_point now);
    // It was right: as if it had not been made.
    void forgive(const std::string& peer, const std::string& user);

    std::size_t size() const { return users_.size() + peers_.size(); }

private:
    void forget_old(Clock::time_point now);

    using User = std::pair<std::string, std::string>;  // peer and user
    std::map<User, TokenBucket> users_{};
    std::map<std::string, TokenBucket> peers_{};
    std::size_t next_look_ = 256;  // entries, at which those are dropped that no longer say anything
};

}  // namespace keepwell
