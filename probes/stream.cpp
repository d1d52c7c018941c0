#include "probes/stream.hpp"

#include "probes/resolver.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

namespace keepwell {

namespace {

// Not by asio's linger option: its destructors would take it back.
void reset_on_close(asio::ip::tcp::socket& socket)
{
    const ::linger at_once{1, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

asio::awaitable<std::size_t> Stream::read_some(std::span<char> into)
{
    if (tls_)
        co_return co_await tls_->read_some(socket_, into);
    co_return co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), asio::use_awaitable);
}

asio::awaitable<void> Stream::write(std::string_view bytes)
{
    if (tls_)
        co_await tls_->write(socket_, bytes);
    else
        co_await asio::async_write(socket_, asio::buffer(bytes), asio::use_awaitable);
}

asio::awaitable<Stream> connect(const Address& address, Progress& progress)
{
    const auto addresses = co_await resolve(address, progress);
    std::vector<asio::ip::tcp::endpoint> endpoints;
    endpoints.reserve(addresses.size());
    for (const auto& each : addresses)
        endpoints.emplace_back(each, address.port);

    progress.enter(Phase::connect);
    asio::ip::tcp::socket socket{co_await asio::this_coro::executor};
    co_await asio::async_connect(socket, endpoints, asio::use_awaitable);
    reset_on_close(socket);
    co_return Stream{std::move(socket)};
}

}  // namespace keepwell
