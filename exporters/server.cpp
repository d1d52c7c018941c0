#include "exporters/server.hpp"

#include "exporters/conversation.hpp"
#include "probes/address.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

namespace keepwell {

namespace {

using Socket = asio::generic::stream_protocol::socket;

constexpr auto accept_pause = 100ms;  // when there is no descriptor for another connection

Peer peer_at(const asio::ip::tcp::endpoint& endpoint)
{
    auto address = endpoint.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    return {.address = address.to_string(), .on_this_host = address.is_loopback()};
}

std::runtime_error listen_error(const std::string& where, const boost::system::error_code& error)
{
    std::string advice;
    if (error == boost::system::errc::address_in_use)
        advice =
            "; another program listens there: stop it, or choose another address with --web.listen-address";
    else if (error == boost::system::errc::permission_denied)
        advice = "; ports below 1024 and foreign directories need root";
    return std::runtime_error{"cannot listen on " + where + ": " + error.message() + advice};
}

}  // namespace

std::expected<asio::ip::tcp::endpoint, std::string> listen_endpoint(const std::string& text)
{
    auto address = text.starts_with(':') ? "[::]" + text : text;
    const bool any_port = address.ends_with(":0");
    if (any_port)
        address.back() = '1';  // stands for it: port 0 is no one's address
    const auto parsed = Address::parse(address);
    if (!parsed)
        return std::unexpected(parsed.error());
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(parsed->host == "localhost" ? "127.0.0.1" : parsed->host, error);
    if (error)
        return std::unexpected("give a numeric address such as 127.0.0.1");
    return asio::ip::tcp::endpoint{ip, any_port ? static_cast<asio::ip::port_type>(0) : parsed->port};
}

struct Server::Listeners {
    asio::io_context& loop;
    std::shared_ptr<Reception> reception;
    mode_t socket_mode;
    std::vector<std::unique_ptr<asio::ip::tcp::acceptor>> tcp{};
    std::vector<std::pair<std::string, std::unique_ptr<asio::local::stream_protocol::acceptor>>> local{};

    Listeners(asio::io_context& on, Api& to, const Settings& settings)
        : loop{on},
          reception{std::make_shared<Reception>(
              on, to, settings.door ? settings.door : std::make_shared<Door>(on), settings.most_connections)},
          socket_mode{settings.socket_mode}
    {
    }

    template <class Protocol>
    static asio::awaitable<void> accept(asio::basic_socket_acceptor<Protocol>& acceptor,
                                        asio::io_context& loop, std::shared_ptr<Reception> reception)
    {
        asio::steady_timer pause{loop};
        for (;;) {
            auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
            if (!reception->api || error == asio::error::operation_aborted ||
                error == asio::error::bad_descriptor)
                co_return;
            if (error) {
                pause.expires_after(accept_pause);
                co_await pause.async_wait(asio::use_awaitable);
                continue;
            }
            if (!reception->connections.has_room())
                continue;  // closed at once: better than a queue without a bound
            Peer peer{.local = true, .on_this_host = true};
            if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
                boost::system::error_code gone;
                peer = peer_at(socket.remote_endpoint(gone));
                if (gone)
                    continue;
            }
            asio::co_spawn(loop, converse(Socket{std::move(socket)}, std::move(peer), reception),
                           asio::detached);
        }
    }
};

Server::Server(asio::io_context& loop, Api& api, const Settings& settings)
    : listeners_{std::make_shared<Listeners>(loop, api, settings)}
{
}
Server::~Server() { stop(); }

void Server::listen(const std::string& address)
{
    const auto parsed = listen_endpoint(address);
    if (!parsed)
        throw std::runtime_error{"bad listen address \"" + address + "\": " + parsed.error()};
    auto endpoint = *parsed;
    boost::system::error_code error;
    auto acceptor = std::make_unique<asio::ip::tcp::acceptor>(listeners_->loop);
    acceptor->open(endpoint.protocol(), error);
    if (error && endpoint.address().is_v6() && endpoint.address().is_unspecified()) {  // a host without IPv6
        endpoint.address(asio::ip::address_v4::any());
        acceptor->open(endpoint.protocol(), error);
    }
    if (!error)
        acceptor->set_option(asio::socket_base::reuse_address{true}, error);
    if (!error && endpoint.address().is_v6())
        acceptor->set_option(asio::ip::v6_only{false}, error);
    if (!error)
        acceptor->bind(endpoint, error);
    if (!error)
        acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error)
        throw listen_error(address, error);
    auto& kept = *listeners_->tcp.emplace_back(std::move(acceptor));
    asio::co_spawn(listeners_->loop, Listeners::accept(kept, listeners_->loop, listeners_->reception),
                   asio::detached);
}

void Server::listen_unix(const std::string& path)
{
    boost::system::error_code error;
    asio::local::stream_protocol::socket other{listeners_->loop};
    if (path.size() < 108)  // sun_path, unix(7)
        other.connect({path}, error);
    else
        throw std::runtime_error{"cannot listen on " + path +
                                 ": the path of a unix socket has at most 107 bytes"};
    if (!error)
        throw std::runtime_error{"cannot listen on " + path + ": another keepwell answers there"};
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
        ::unlink(path.c_str());
    auto acceptor = std::make_unique<asio::local::stream_protocol::acceptor>(listeners_->loop);
    error = {};
    acceptor->open({}, error);
    const auto mask = ::umask(0777 & ~listeners_->socket_mode);  // from its first moment
    if (!error)
        acceptor->bind({path}, error);
    ::umask(mask);
    if (!error)
        acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error)
        throw listen_error(path, error);
    auto& kept = *listeners_->local.emplace_back(path, std::move(acceptor)).second;
    asio::co_spawn(listeners_->loop, Listeners::accept(kept, listeners_->loop, listeners_->reception),
                   asio::detached);
}

void Server::serve(Socket connection, Peer peer)
{
    asio::co_spawn(listeners_->loop, converse(std::move(connection), std::move(peer), listeners_->reception),
                   asio::detached);
}

void Server::stop()
{
    listeners_->reception->api = nullptr;
    listeners_->reception->handshakes.stop();
    listeners_->reception->door->stop();
    boost::system::error_code ignored;
    for (const auto& acceptor : listeners_->tcp)
        acceptor->close(ignored);
    for (const auto& [path, acceptor] : listeners_->local)
        if (acceptor->is_open()) {
            acceptor->close(ignored);
            ::unlink(path.c_str());
        }
}

std::vector<std::string> Server::addresses() const
{
    std::vector<std::string> texts;
    for (const auto& acceptor : listeners_->tcp) {
        const auto endpoint = acceptor->local_endpoint();
        texts.push_back(Address{.host = endpoint.address().to_string(), .port = endpoint.port()}.text());
    }
    for (const auto& [path, acceptor] : listeners_->local)
        texts.push_back("unix:" + path);
    return texts;
}

// One on loopback, if there is one: other addresses come and go with their interfaces.
std::optional<Address> Server::own_address() const
{
    std::optional<Address> other;
    for (const auto& acceptor : listeners_->tcp) {
        const auto endpoint = acceptor->local_endpoint();
        const auto ip = endpoint.address();
        if (ip.is_unspecified())  // takes IPv4 as well, which every host has on loopback
            return Address{.host = "127.0.0.1", .port = endpoint.port()};
        Address address{.host = ip.to_string(), .port = endpoint.port()};
        if (ip.is_loopback())
            return address;
        other = other.value_or(address);
    }
    return other;
}

std::string Server::own_socket() const
{
    return listeners_->local.empty() ? std::string{} : listeners_->local.front().first;
}

}  // namespace keepwell
