#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <expected>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace keepwell::app {

// Whatever a dependency gives, or why it did not, in words.
template <class Value>
using Result = std::expected<Value, std::string>;

// The result with f applied to its value (the standard library of Debian 12 has no transform yet).
template <class Value, class Function>
auto mapped(Result<Value> result, Function f) -> Result<std::invoke_result_t<Function, Value&>>
{
    if (!result)
        return std::unexpected(std::move(result.error()));
    return f(*result);
}

// How does blocking work get a deadline? It is done on a thread of its own, and who asked for it waits only
// so long. Client libraries keep their own timeouts, but name resolution has none: this bounds everything.
// Work is done in order, one piece at a time, so that a client used only here needs no lock.
class Lane {
public:
    Lane() : thread_{[this] { work(); }} {}
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    ~Lane()
    {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    using Deadline = std::chrono::steady_clock::time_point;

    // Work is a function that returns a Result; it may still run after the wait for it has ended, so it owns
    // what it uses. What nobody waits for any more when its turn comes is not done.
    template <class Work>
    auto start(Work work, Deadline deadline)
    {
        using Answer = std::invoke_result_t<Work>;
        auto promise = std::make_shared<std::promise<Answer>>();
        auto answer = promise->get_future();
        {
            const std::lock_guard lock{mutex_};
            queue_.emplace_back([promise, deadline, work = std::move(work)] {
                const bool in_time = std::chrono::steady_clock::now() < deadline;
                promise->set_value(in_time ? work() : Answer{std::unexpected("no answer in time")});
            });
        }
        changed_.notify_one();
        return answer;
    }

    template <class Answer>
    static Answer wait(std::future<Answer>& answer, Deadline deadline)
    {
        if (answer.wait_until(deadline) == std::future_status::ready)
            return answer.get();
        return std::unexpected("no answer in time");
    }

    template <class Work>
    auto run(Work work, std::chrono::milliseconds limit)
    {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        auto answer = start(std::move(work), deadline);
        return wait(answer, deadline);
    }

private:
    void work()
    {
        std::unique_lock lock{mutex_};
        while (true) {
            changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (stopping_)
                return;
            const auto task = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            task();
            lock.lock();
        }
    }

    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::deque<std::function<void()>> queue_{};
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace keepwell::app
