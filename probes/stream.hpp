#pragma once

#include "probes/address.hpp"
#include "probes/probe.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <span>

namespace keepwell {

// What carries a stream's bytes once TLS has been started; defined in tls.cpp.
class TlsLayer {
public:
    virtual ~TlsLayer() = default;
    virtual asio::awaitable<std::size_t> read_some(asio::ip::tcp::socket& socket, std::span<char> into) = 0;
    virtual asio::awaitable<void> write(asio::ip::tcp::socket& socket, std::string_view bytes) = 0;
};

// A connected TCP socket, plain or under TLS. Errors are boost::system::system_error, which the runner words;
// a peer that closes is asio::error::eof. Closing resets the connection, so that no TIME_WAIT is left to a
// prober that connects hundreds of times a second (SO_LINGER 0, socket(7)).
class Stream {
public:
    explicit Stream(asio::ip::tcp::socket socket) : socket_{std::move(socket)} {}

    asio::awaitable<std::size_t> read_some(std::span<char> into);
    asio::awaitable<void> write(std::string_view bytes);

    asio::ip::tcp::socket& socket() { return socket_; }
    // Closes later without a reset, so that what was written last is not lost; leaves a TIME_WAIT.
    void close_gently();
    void protect(std::unique_ptr<TlsLayer> layer) { tls_ = std::move(layer); }

private:
    asio::ip::tcp::socket socket_;
    std::unique_ptr<TlsLayer> tls_{};
};

// Resolves (unless numeric or pinned) and connects; enters Phase::resolve and Phase::connect. All addresses
// of the name get their chance, as RFC 8305 says: the next one starts when the one before has failed or has
// said nothing for 250 ms, and the first connection wins. With a `limit`, silence until then is a failure
// with Reason::timeout. Throws Failure or boost::system::system_error.
asio::awaitable<Stream> connect(const Address& address, Progress& progress,
                                Clock::time_point limit = Clock::time_point::max());

}  // namespace keepwell
