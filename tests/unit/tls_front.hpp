#pragma once

#include "tests/unit/certificates.hpp"
#include "tests/unit/scripted_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl.hpp>

namespace keepwell::test {

// A TLS server on 127.0.0.1 in front of a plain one: what one side sends, the other gets; when one ends, both
// do.
class TlsFront {
public:
    TlsFront(asio::io_context& loop, const Address& behind, const Leaf& leaf,
             const std::string& client_authority = {})
        : acceptor_{loop, {asio::ip::make_address("127.0.0.1"), 0}},
          behind_{asio::ip::make_address(behind.host), behind.port}
    {
        context_.use_certificate_chain_file(leaf.certificate_file());
        context_.use_private_key_file(leaf.key_file(), asio::ssl::context::pem);
        if (!client_authority.empty()) {
            context_.load_verify_file(client_authority);
            context_.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
        }
        asio::co_spawn(loop, serve(), asio::detached);
    }
    Address address() const { return {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()}; }
    int handshakes() const { return handshakes_; }
    const std::string& server_name() const { return server_name_; }  // of the last client that got through

private:
    struct Pair {
        Pair(asio::ip::tcp::socket accepted, asio::ssl::context& context)
            : front{std::move(accepted), context}, back{front.get_executor()}
        {
        }
        asio::ssl::stream<asio::ip::tcp::socket> front;
        asio::ip::tcp::socket back;
    };

    asio::awaitable<void> serve()
    {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            auto pair = std::make_shared<Pair>(std::move(socket), context_);
            asio::co_spawn(acceptor_.get_executor(), carry(pair), asio::detached);
        }
    }
    asio::awaitable<void> carry(std::shared_ptr<Pair> pair)
    {
        co_await pair->front.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        ++handshakes_;
        const char* name = SSL_get_servername(pair->front.native_handle(), TLSEXT_NAMETYPE_host_name);
        server_name_ = name ? name : "";
        co_await pair->back.async_connect(behind_, asio::use_awaitable);
        asio::co_spawn(acceptor_.get_executor(), pump(pair, pair->back, pair->front), asio::detached);
        co_await pump(pair, pair->front, pair->back);
    }
    template <class From, class To>
    static asio::awaitable<void> pump(std::shared_ptr<Pair> pair, From& from, To& to)
    {
        std::array<char, 4096> bytes{};
        boost::system::error_code error;
        while (!error) {
            const auto [end, count] =
                co_await from.async_read_some(asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
            error = end;
            if (count > 0)
                co_await asio::async_write(to, asio::buffer(bytes.data(), count),
                                           asio::as_tuple(asio::use_awaitable));
        }
        pair->front.next_layer().close(error);
        pair->back.close(error);
    }

    asio::ssl::context context_{asio::ssl::context::tls_server};
    asio::ip::tcp::acceptor acceptor_;
    asio::ip::tcp::endpoint behind_;
    int handshakes_ = 0;
    std::string server_name_{};
};

}  // namespace keepwell::test
