#include "probes/stream.hpp"

#include "probes/dial.hpp"
#include "probes/resolver.hpp"
#include "probes/runner.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/socket.h>

namespace keepwell {

namespace {

using asio::ip::tcp;

std::vector<tcp::endpoint> with_port(const std::vector<asio::ip::address>& addresses, std::uint16_t port)
{
    std::vector<tcp::endpoint> endpoints;
    endpoints.reserve(addresses.size());
    for (const auto& each : addresses)
        endpoints.emplace_back(each, port);
    return endpoints;
}

asio::awaitable<tcp::socket> dial_name(const Address& address, Progress& progress, Clock::time_point limit)
{
    const auto executor = co_await asio::this_coro::executor;
    const auto addresses = co_await resolve(address, progress);
    progress.enter(Phase::connect);
    try {
        if (addresses.size() == 1 && limit == Clock::time_point::max())
            co_return co_await dial(tcp::endpoint{addresses.front(), address.port});
        co_return co_await dial_first(with_port(addresses, address.port), limit);
    } catch (const boost::system::system_error& error) {
        auto why = verdict_of(error.code());
        if (addresses.size() > 1)
            why.detail += " (tried " + std::to_string(addresses.size()) + " addresses)";
        forget_name(executor, address.host);
        throw Failure{std::move(why)};
    }
}

}  // namespace

asio::awaitable<std::size_t> Stream::read_some(std::span<char> into)
{
    if (tls_)
        return tls_->read_some(socket_, into);
    return socket_.async_read_some(asio::buffer(into.data(), into.size()), asio::use_awaitable);
}

asio::awaitable<void> Stream::write(std::string_view bytes)
{
    if (tls_) {
        co_await tls_->write(socket_, bytes);
        co_return;
    }
    while (!bytes.empty()) {
        const auto sent = co_await socket_.async_write_some(asio::buffer(bytes), asio::use_awaitable);
        bytes.remove_prefix(sent);
    }
}

void Stream::close_gently()
{
    const ::linger in_the_background{0, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &in_the_background,
                 sizeof in_the_background);
}

asio::awaitable<Stream> connect(const Address& address, Progress& progress, Clock::time_point limit)
{
    const auto known = numeric_form(address);
    if (!known || limit != Clock::time_point::max())
        co_return Stream{co_await dial_name(address, progress, limit)};
    progress.enter(Phase::connect);
    co_return Stream{co_await dial(tcp::endpoint{*known, address.port})};
}

}  // namespace keepwell
