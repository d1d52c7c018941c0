#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>

namespace keepwell {

namespace asio = boost::asio;

// Sockets that belong to a library with a loop interface of its own, gathered in one epoll set (epoll(7))
// whose descriptor Asio waits for. One wake-up serves hundreds of sockets, and adding one costs one system
// call: registering each with Asio costs about as much CPU again as an HTTP probe's own system calls.
class SocketSet {
public:
    using Clock = std::chrono::steady_clock;
    // Called with what is ready (data.u64 is the socket's tag), or with nothing when the time of wake_by()
    // has come.
    using Handler = std::function<void(std::span<const epoll_event>)>;

    // Throws boost::system::system_error when there is no descriptor left.
    SocketSet(const asio::any_io_executor& executor, Handler handler);
    SocketSet(const SocketSet&) = delete;
    SocketSet& operator=(const SocketSet&) = delete;

    void add(int fd, std::uint32_t events, std::uint64_t tag) { control(EPOLL_CTL_ADD, fd, events, tag); }
    void change(int fd, std::uint32_t events, std::uint64_t tag) { control(EPOLL_CTL_MOD, fd, events, tag); }
    void remove(int fd) { control(EPOLL_CTL_DEL, fd, 0, 0); }

    // Calls the handler at `due`, or before: an earlier time that was asked for stays.
    void wake_by(Clock::time_point due);

    // Waits from now on; until stop(), the loop has work to do.
    void start();
    void stop();

private:
    void control(int operation, int fd, std::uint32_t events, std::uint64_t tag);
    void wait();
    void on_ready();
    void on_time(const boost::system::error_code& error);

    Handler handler_;
    asio::posix::stream_descriptor descriptor_;
    asio::steady_timer timer_;
    Clock::time_point due_ = Clock::time_point::max();
    bool started_ = false;
    bool waiting_ = false;
};

}  // namespace keepwell
