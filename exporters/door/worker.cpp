#include "exporters/door/worker.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

namespace keepwell {

struct Worker::Thread {
    asio::thread_pool pool{1};
    Thread()
    {
        // Of this thread alone, on Linux: where there is but one core, the loop goes before.
        asio::post(pool, [] { (void)::nice(10); });
    }
    ~Thread()
    {
        pool.stop();
        pool.join();
    }
};

Worker::Worker(asio::io_context& loop) : loop_{loop} {}
Worker::~Worker() = default;

void Worker::stop()
{
    stopped_ = true;
    thread_.reset();
}

asio::awaitable<void> Worker::run(std::function<void()> work)
{
    if (stopped_)
        throw boost::system::system_error{asio::error::operation_aborted};
    if (!thread_)
        thread_ = std::make_unique<Thread>();
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this](auto handler, std::function<void()> todo) {
            // Shared, because a function that is handed on must be copyable here.
            auto done = std::make_shared<decltype(handler)>(std::move(handler));
            asio::post(thread_->pool,
                       [&loop = loop_, todo = std::move(todo), done = std::move(done)]() mutable {
                           todo();
                           asio::post(loop, [done = std::move(done)] { std::move (*done)(); });
                       });
        },
        asio::use_awaitable, std::move(work));
}

}  // namespace keepwell
