#include "probes/plain_http.hpp"

#include "probes/dial.hpp"
#include "probes/http_reply.hpp"
#include "probes/kept_connections.hpp"
#include "probes/runner.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <vector>

namespace keepwell {

namespace {

using asio::ip::tcp;

bool has(const HttpRequest& request, std::string_view name)
{
    return std::ranges::any_of(request.headers,
                               [&](const HttpHeader& header) { return same_name(header.name, name); });
}

std::string_view value_of(const HttpRequest& request, std::string_view name)
{
    const auto found = std::ranges::find_if(
        request.headers, [&](const HttpHeader& header) { return same_name(header.name, name); });
    return found == request.headers.end() ? std::string_view{} : found->value;
}

void add(std::string& wire, std::string_view name, std::string_view value)
{
    wire += name;
    wire += value.empty() ? ":" : ": ";
    wire += value;
    wire += "\r\n";
}

// The request as libcurl would send it.
std::string wire_of(const HttpRequest& request)
{
    std::string wire;
    wire.reserve(256);
    wire += request.method;
    wire += ' ';
    wire += request.url.target();
    wire += " HTTP/1.1\r\n";
    if (has(request, "Host"))
        add(wire, "Host", value_of(request, "Host"));
    else
        add(wire, "Host", request.url.authority());
    if (!has(request, "Accept"))
        add(wire, "Accept", "*/*");
    for (const auto& [name, value] : request.headers)
        if (!same_name(name, "Host"))
            add(wire, name, value);
    if (!has(request, "User-Agent"))
        add(wire, "User-Agent", "keepwell");
    return wire += "\r\n";
}

asio::awaitable<tcp::socket> connect(const Way& way)
{
    try {
        if (way.connect_limit == std::chrono::milliseconds{0})
            co_return co_await dial(*way.endpoint);
        std::vector<tcp::endpoint> only;
        only.push_back(*way.endpoint);
        co_return co_await dial_first(std::move(only), Clock::now() + way.connect_limit);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted)
            throw;
        if (error.code() == asio::error::timed_out)
            throw Failure{no_response(Reason::timeout, "no connection in time")};
        throw Failure{verdict_of(error.code())};
    }
}

// A connection that is kept is closed as others are, not reset: its server may count resets as errors.
void close_in_peace(tcp::socket& socket)
{
    const ::linger in_the_background{0, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &in_the_background, sizeof in_the_background);
}

// A server that turns us away at the door may say why and close before it has read anything: so an error here
// is no verdict yet.
asio::awaitable<void> send(tcp::socket& socket, std::string_view wire)
{
    while (!wire.empty()) {
        const auto sent =
            ::send(socket.native_handle(), wire.data(), wire.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            wire.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN)
            co_await socket.async_wait(tcp::socket::wait_write, asio::use_awaitable);
        else if (errno != EINTR)
            co_return;
    }
}

// One for all transfers: what was read is parsed before anything else reads.
std::span<char> read_buffer()
{
    thread_local std::array<char, 16384> buffer;
    return buffer;
}

// Waits until there is something, and only then lends the transfer a buffer: thousands of stalled ones must
// fit.
asio::awaitable<void> receive(tcp::socket& socket, HttpReplyParser& parser, Progress& progress)
{
    const auto buffer = read_buffer();
    while (!parser.done()) {
        co_await socket.async_wait(tcp::socket::wait_read, asio::use_awaitable);
        const auto count = ::recv(socket.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            throw boost::system::system_error{errno, boost::system::system_category()};
        if (!parser.begun() && count > 0)
            progress.enter(Phase::reply);
        if (count > 0)
            parser.feed({buffer.data(), static_cast<std::size_t>(count)});
        else if (count == 0)
            parser.feed_end();
    }
}

asio::awaitable<void> converse(tcp::socket& socket, std::string_view wire, HttpReplyParser& parser,
                               Progress& progress)
{
    progress.enter(Phase::request);
    co_await send(socket, wire);
    co_await receive(socket, parser, progress);
}

// On a kept connection, which the server may have closed meanwhile: then there was no answer, and it is
// false.
asio::awaitable<bool> converse_again(tcp::socket& socket, std::string_view wire, HttpReplyParser& parser,
                                     Progress& progress)
{
    try {
        co_await converse(socket, wire, parser, progress);
        co_return true;
    } catch (const Failure&) {
        if (parser.begun())
            throw;
    } catch (const boost::system::system_error& error) {
        if (parser.begun() || error.code() == asio::error::operation_aborted)
            throw;
    }
    co_return false;
}

}  // namespace

bool is_plain(const HttpRequest& request)
{
    // These change what follows the headers.
    constexpr std::array<std::string_view, 4> special{"Connection", "Expect", "TE", "Upgrade"};
    return !request.url.secure() && request.unix_socket.empty() && request.version != HttpVersion::http2 &&
           (request.method == "GET" || request.method == "HEAD") && request.body.empty() &&
           request.username.empty() && request.password.empty() && request.bearer_token.empty() &&
           request.tls.server_name.empty() && request.proxy.empty() && request.coding.empty() &&
           std::ranges::none_of(special, [&](std::string_view name) { return has(request, name); });
}

asio::awaitable<void> plain_exchange(const HttpRequest& request, Way way, Progress& progress,
                                     HttpReply& reply)
{
    progress.enter(Phase::connect);
    auto& kept = kept_connections(co_await asio::this_coro::executor);
    const auto wire = wire_of(request);
    HttpReplyParser parser{request, reply};
    auto socket = request.reuse ? kept.take(*way.endpoint) : std::nullopt;
    if (socket) {
        const bool answered = co_await converse_again(*socket, wire, parser, progress);
        if (!answered)
            socket.reset();
    }
    if (!socket) {
        progress.enter(Phase::connect);
        auto fresh = co_await connect(way);
        socket.emplace(std::move(fresh));
        if (request.reuse)
            close_in_peace(*socket);
        co_await converse(*socket, wire, parser, progress);
    }
    if (request.reuse && parser.keeps_connection())
        kept.give(*way.endpoint, *std::move(socket));
    if (!parser.location().empty())
        reply.redirect = absolute_url(request.url, parser.location());
}

}  // namespace keepwell
