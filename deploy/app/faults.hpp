#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::app {

// What is this process told to do wrong? Only with APP_FAULTS=1; for demonstrations and tests of what watches
// it.
class Faults {
public:
    explicit Faults(bool enabled) : enabled_{enabled} {}

    bool enabled() const { return enabled_; }
    bool hanging() const { return hanging_; }  // nothing is answered any more
    bool failing() const { return failing_; }  // everything is answered with 500
    std::chrono::milliseconds delay() const { return std::chrono::milliseconds{delay_}; }

    // Commands are "hang", "error", "slow?ms=3000" (default 1000), "leak?mb=64" (default 64; more each time),
    // "crash" (does not return) and "clear" (everything is well again). Returns what was done; nothing when
    // there is no such fault, or the number is none.
    std::optional<std::string> command(std::string_view text);

private:
    std::string leak(long megabytes);

    bool enabled_ = false;
    std::atomic<bool> hanging_ = false;
    std::atomic<bool> failing_ = false;
    std::atomic<long> delay_ = 0;  // milliseconds
    std::mutex leaking_{};
    std::list<std::vector<char>> leaked_{};
};

}  // namespace keepwell::app
