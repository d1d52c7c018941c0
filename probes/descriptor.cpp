#include "probes/descriptor.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/ioctl.h>

namespace keepwell {

namespace {

// Takes a descriptor off the loop without closing it, however the wait ends.
class Borrowed {
public:
    Borrowed(const asio::any_io_executor& executor, int descriptor) : borrowed_{executor, descriptor} {}
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    ~Borrowed() { borrowed_.release(); }

    asio::posix::stream_descriptor* operator->() { return &borrowed_; }

private:
    asio::posix::stream_descriptor borrowed_;
};

}  // namespace

asio::awaitable<void> wait_for(int descriptor, Ready what)
{
    Borrowed borrowed{co_await asio::this_coro::executor, descriptor};
    const auto kind = what == Ready::read ? asio::posix::descriptor_base::wait_read
                                          : asio::posix::descriptor_base::wait_write;
    co_await borrowed->async_wait(kind, asio::use_awaitable);
}

std::size_t unread_bytes(int descriptor)
{
    int count = 0;
    return ::ioctl(descriptor, FIONREAD, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
}

}  // namespace keepwell
