#include "probes/socket_set.hpp"

#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>

namespace keepwell {

namespace {

constexpr int most_rounds = 4;  // per wake-up, so that the rest of the loop gets its turn

int make_epoll()
{
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        throw boost::system::system_error{errno, boost::system::system_category(), "epoll_create1"};
    return fd;
}

}  // namespace

SocketSet::SocketSet(const asio::any_io_executor& executor, Handler handler)
    : handler_{std::move(handler)}, descriptor_{executor, make_epoll()}, timer_{executor}
{
}

// A socket that was closed has left the set by itself, so errors mean nothing here.
void SocketSet::control(int operation, int fd, std::uint32_t events, std::uint64_t tag)
{
    epoll_event event{.events = events, .data = {.u64 = tag}};
    ::epoll_ctl(descriptor_.native_handle(), operation, fd, &event);
}

void SocketSet::start()
{
    started_ = true;
    if (!waiting_)
        wait();
}

void SocketSet::stop()
{
    started_ = false;
    due_ = Clock::time_point::max();
    descriptor_.cancel();
    timer_.cancel();
}

void SocketSet::wait()
{
    waiting_ = true;
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           [this](const boost::system::error_code& error) {
                               waiting_ = false;
                               if (!error)
                                   on_ready();
                               if (started_ && !waiting_)
                                   wait();
                           });
}

void SocketSet::on_ready()
{
    std::array<epoll_event, 256> events;
    for (int round = 0; round < most_rounds; ++round) {
        const int count = ::epoll_wait(descriptor_.native_handle(), events.data(), events.size(), 0);
        if (count <= 0)
            return;
        handler_({events.data(), static_cast<std::size_t>(count)});
        if (static_cast<std::size_t>(count) < events.size())
            return;
    }
}

void SocketSet::wake_by(Clock::time_point due)
{
    if (due >= due_)
        return;
    due_ = due;
    timer_.expires_at(due);
    timer_.async_wait([this](const boost::system::error_code& error) { on_time(error); });
}

void SocketSet::on_time(const boost::system::error_code& error)
{
    if (error || Clock::now() < due_)
        return;
    due_ = Clock::time_point::max();
    handler_({});
}

}  // namespace keepwell
