#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>

namespace keepwell {

namespace asio = boost::asio;

// A thread for what would hold up the loop: one piece of work after the other, in the order in which they
// came. It is started by the first one. Work may not throw, and may only touch what nobody else touches
// meanwhile.
class Worker {
public:
    explicit Worker(asio::io_context& loop);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Returns, on the loop, when the work has been done. Throws boost::system::system_error once it has been
    // stopped.
    asio::awaitable<void> run(std::function<void()> work);
    // Waits for the piece of work that is being done, and drops those behind it. Before the loop is
    // destroyed.
    void stop();

private:
    struct Thread;
    asio::io_context& loop_;
    std::unique_ptr<Thread> thread_{};
    bool stopped_ = false;
};

}  // namespace keepwell
