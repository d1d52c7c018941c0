#pragma once

#include "probes/result.hpp"

#include <algorithm>
#include <cstdint>

namespace keepwell {

// One more every `interval`, and up to `burst` at once.
struct Rate {
    Clock::duration interval{};
    std::int64_t burst = 1;
    bool operator==(const Rate&) const = default;
};

// May it happen once more? A token bucket, kept as the one moment at which it will be full again (the generic
// cell rate algorithm). A pure value: the time is passed in.
class TokenBucket {
public:
    // False, and nothing taken, when the bucket is empty.
    bool take(const Rate& rate, Clock::time_point now)
    {
        if (wait(rate, now) > Clock::duration{})
            return false;
        full_at_ = std::max(full_at_, now) + rate.interval;
        return true;
    }
    void give_back(const Rate& rate) { full_at_ -= rate.interval; }

    // How long until the next one may happen.
    Clock::duration wait(const Rate& rate, Clock::time_point now) const
    {
        return std::max(std::max(full_at_, now) + rate.interval - rate.interval * rate.burst - now,
                        Clock::duration{});
    }
    bool is_full(Clock::time_point now) const { return full_at_ <= now; }

private:
    Clock::time_point full_at_{};
};

}  // namespace keepwell
