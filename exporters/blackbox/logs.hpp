#pragma once

#include "exporters/blackbox/attempt.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace keepwell::blackbox {

// What is remembered of an attempt, for /logs.
struct Record {
    std::uint64_t id = 0;
    std::shared_ptr<const Attempt> attempt{};
    bool success = false;
};

// What `debug=true` shows: log, gauges and module of an attempt, without secrets.
std::string debug_page(const Attempt& attempt);

// The last attempts, and the last failures beyond those, so that many successes do not drive out the one
// attempt that somebody wants to understand.
class Logs {
public:
    explicit Logs(std::size_t most) : most_{most} {}

    void add(Record record);
    const Record* find(std::uint64_t id) const;
    // The latest one; an empty module is any.
    const Record* find(std::string_view target, std::string_view module) const;
    std::string list() const;  // one line each, the latest first

private:
    template <class Wanted>
    const Record* latest(Wanted wanted) const;

    std::size_t most_;
    std::uint64_t next_id_ = 0;
    std::deque<Record> last_{};
    std::deque<Record> failures_{};  // older than those
};

}  // namespace keepwell::blackbox
