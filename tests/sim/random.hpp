#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>

namespace keepwell::sim {

// A small fast generator (SplitMix64, Steele et al. 2014): the same seed gives the same year everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_{seed} {}

    std::uint64_t next()
    {
        auto z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    bool chance(double probability) { return unit() < probability; }
    std::size_t below(std::size_t count) { return next() % count; }

    using Length = std::chrono::nanoseconds;
    Length between(Length least, Length most)
    {
        return least + Length{static_cast<Length::rep>(static_cast<double>((most - least).count()) * unit())};
    }
    // The time to the next of events that come at random, `mean` apart.
    Length until_next(Length mean)
    {
        return Length{static_cast<Length::rep>(-std::log(1 - unit()) * static_cast<double>(mean.count()))};
    }

private:
    std::uint64_t state_;
};

}  // namespace keepwell::sim
