#include "probes/dial.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace keepwell {

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using boost::system::error_code;
namespace errc = boost::system::errc;

// How long one address may be silent before the next one is tried as well (RFC 8305, section 8).
constexpr auto stagger = 250ms;

// A second connect(2) asks how the first is doing: done, still under way (EALREADY) or failed. One call where
// poll(2) and getsockopt(SO_ERROR) take two, and on loopback it often spares the wait.
error_code ask_again(int fd, const tcp::endpoint& to)
{
    if (::connect(fd, to.data(), static_cast<socklen_t>(to.size())) == 0 || errno == EISCONN)
        return {};
    return {errno, boost::system::system_category()};
}

// Makes the connection one from this address, whatever the port.
error_code bind_to(int fd, const asio::ip::address& address)
{
    const tcp::endpoint from{address, 0};
    if (::bind(fd, from.data(), static_cast<socklen_t>(from.size())) == 0)
        return {};
    return {errno, boost::system::system_category()};
}

// Starts to connect. connection_already_in_progress means: wait until the socket is writable, then
// ask_again().
error_code begin(tcp::socket& socket, const tcp::endpoint& to,
                 const std::optional<asio::ip::address>& from = {})
{
    const int fd = ::socket(to.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return {errno, boost::system::system_category()};
    // Not by asio's linger option: its destructors would take it back.
    const ::linger reset_on_close{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
    auto error = from ? bind_to(fd, *from) : error_code{};
    if (!error)
        error = ask_again(fd, to);
    if (error == errc::operation_in_progress)
        error = ask_again(fd, to);
    error_code unwatched;
    if (!error || error == errc::connection_already_in_progress)
        socket.assign(to.protocol(), fd, unwatched);
    if (!socket.is_open())
        ::close(fd);
    return unwatched ? unwatched : error;
}

// Of the errors of several addresses, the one that says most about the target: an answer before silence,
// silence before what the network says, and last what is only said about this address and us (no IPv6 here).
int weight(const error_code& error)
{
    if (error == errc::connection_refused || error == errc::connection_reset)
        return 4;
    if (error == errc::timed_out)
        return 3;
    if (error == errc::host_unreachable || error == errc::network_unreachable)
        return 2;
    return error == errc::address_not_available || error == errc::address_family_not_supported ? 0 : 1;
}

// The state of dial_first(); handlers share it, so that it may end before they do.
struct Contest : std::enable_shared_from_this<Contest> {
    Contest(const asio::any_io_executor& on, std::vector<tcp::endpoint> of)
        : executor{on}, candidates{std::move(of)}, timer{on}
    {
    }
    bool anyone_left() const { return started < candidates.size(); }
    void start_next();
    void wait_for(std::size_t index);
    void settle(std::size_t index, const error_code& error);
    void stop();

    asio::any_io_executor executor;
    std::vector<tcp::endpoint> candidates;
    std::vector<std::unique_ptr<tcp::socket>> sockets{};
    asio::steady_timer timer;
    std::size_t started = 0;
    std::size_t running = 0;
    std::unique_ptr<tcp::socket> winner{};
    error_code error{};
};

// Starts candidates until one is under way.
void Contest::start_next()
{
    const auto before = running;
    while (!winner && anyone_left() && running <= before) {
        const auto index = started++;
        sockets.push_back(std::make_unique<tcp::socket>(executor));
        ++running;
        const auto outcome = begin(*sockets[index], candidates[index]);
        if (outcome == errc::connection_already_in_progress)
            wait_for(index);
        else
            settle(index, outcome);
    }
}

void Contest::wait_for(std::size_t index)
{
    sockets[index]->async_wait(
        tcp::socket::wait_write, [self = shared_from_this(), index](error_code cancelled) {
            if (cancelled || !self->sockets[index] || !self->sockets[index]->is_open())
                return;
            const auto outcome = ask_again(self->sockets[index]->native_handle(), self->candidates[index]);
            if (outcome == errc::connection_already_in_progress)
                self->wait_for(index);
            else
                self->settle(index, outcome);
        });
}

void Contest::settle(std::size_t index, const error_code& outcome)
{
    --running;
    if (!outcome && !winner)
        winner = std::move(sockets[index]);
    if (outcome && (!error || weight(outcome) > weight(error)))
        error = outcome;
    sockets[index].reset();
    timer.cancel();
}

void Contest::stop()
{
    for (auto& socket : sockets)
        socket.reset();
    timer.cancel();
}

// The losers end with the coroutine that set them off, however it ends.
struct ContestEnd {
    std::shared_ptr<Contest> contest;
    ~ContestEnd() { contest->stop(); }
};

}  // namespace

asio::awaitable<tcp::socket> dial(tcp::endpoint to, std::optional<asio::ip::address> from)
{
    tcp::socket socket{co_await asio::this_coro::executor};
    auto error = begin(socket, to, from);
    while (error == errc::connection_already_in_progress) {
        co_await socket.async_wait(tcp::socket::wait_write, asio::use_awaitable);
        error = ask_again(socket.native_handle(), to);
    }
    if (error)
        throw boost::system::system_error{error};
    co_return socket;
}

asio::awaitable<tcp::socket> dial_first(std::vector<tcp::endpoint> candidates, Clock::time_point limit)
{
    const auto contest = std::make_shared<Contest>(co_await asio::this_coro::executor, std::move(candidates));
    const ContestEnd end{contest};
    for (;;) {
        contest->start_next();
        if (contest->winner)
            co_return std::move(*contest->winner);
        if (contest->running == 0)
            throw boost::system::system_error{contest->error};
        contest->timer.expires_at(contest->anyone_left() ? std::min(limit, Clock::now() + stagger) : limit);
        co_await contest->timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!contest->winner && Clock::now() >= limit)
            throw boost::system::system_error{asio::error::timed_out};
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            throw boost::system::system_error{asio::error::operation_aborted};
    }
}

}  // namespace keepwell
