#pragma once

#include "exporters/api.hpp"
#include "exporters/door/door.hpp"
#include "probes/address.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/types.h>

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

// `:5337`, `127.0.0.1:5337`, `[::1]:0`: or why it is no address to listen on.
std::expected<asio::ip::tcp::endpoint, std::string> listen_endpoint(const std::string& text);

// Serves the API over HTTP/1.1 on TCP and unix sockets, on the loop. Bounded in everything: connections,
// header and body sizes, and the time that each part of a conversation may take.
class Server {
public:
    struct Settings {
        std::shared_ptr<Door> door{};  // who may come in; none: everybody, as it is without a file
        std::size_t most_connections = 10'000;
        mode_t socket_mode = 0660;  // of unix sockets
    };

    Server(asio::io_context& loop, Api& api, const Settings& settings);
    Server(asio::io_context& loop, Api& api) : Server{loop, api, Settings{}} {}
    ~Server();

    // Both throw std::runtime_error that says what is wrong and what to do.
    void listen(const std::string& address);
    // A stale socket file of a keepwell that is gone is replaced; one that answers is an error.
    void listen_unix(const std::string& path);
    // Serves one connection that is already there.
    void serve(asio::generic::stream_protocol::socket connection, Peer peer);
    void stop();  // before the loop is destroyed

    std::vector<std::string> addresses() const;  // as bound, e.g. "127.0.0.1:5337"
    // Where we can be reached from this host.
    std::optional<Address> own_address() const;  // none: not by TCP
    std::string own_socket() const;              // empty: by no unix socket

private:
    struct Listeners;
    std::shared_ptr<Listeners> listeners_;
};

}  // namespace keepwell
