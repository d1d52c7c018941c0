#pragma once

#include "daemon/lease.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>

namespace keepwell {

// Asks for the lease again and again, three times in each time to live, and says in the log who holds it.
// Lives on the loop's thread.
class LeaseKeeper {
public:
    // `changed` is called when acts() is another.
    LeaseKeeper(asio::io_context& loop, LeaseSettings settings, std::function<void()> changed);
    ~LeaseKeeper();
    LeaseKeeper(const LeaseKeeper&) = delete;
    LeaseKeeper& operator=(const LeaseKeeper&) = delete;

    const LeaseSettings& settings() const;
    bool acts() const;  // now

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace keepwell
