#pragma once

#include "exporters/connections.hpp"
#include "exporters/door/tls.hpp"
#include "exporters/door/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include <memory>
#include <span>
#include <string_view>

namespace keepwell {

// The bytes of one connection, plain or under TLS. Costs no memory for data while nothing comes: reading
// takes what is there into a buffer of the caller's. Errors are boost::system::system_error; a peer that has
// closed is asio::error::eof.
class Wire : public Endable {
public:
    using Socket = asio::generic::stream_protocol::socket;

    explicit Wire(Socket socket);

    // Turns it into a server's end of TLS. The costly part is done by the worker, so that nobody else waits
    // for it. False when the peer is not let in, or speaks something else; `failure` says why.
    asio::awaitable<bool> start_tls(std::shared_ptr<const TlsServer> server, Worker& worker,
                                    std::string& failure);

    std::size_t read(std::span<char> into);  // 0: nothing has come yet
    asio::awaitable<void> readable();
    asio::awaitable<void> write(std::string_view first, std::string_view second = {});
    // To who does not speak TLS where he should; and goodbye.
    asio::awaitable<void> write_plainly(std::string_view words);
    void say_goodbye();
    void end() override;  // whatever waits fails soon

    Socket& socket() { return socket_; }
    std::string client_name() const { return tls_ ? tls_->client_name() : ""; }

private:
    ServerTls::Step write_some(std::string_view first, std::string_view second, std::size_t& count);
    asio::awaitable<void> wait(ServerTls::Step step);

    Socket socket_;
    std::unique_ptr<ServerTls> tls_{};
};

}  // namespace keepwell
