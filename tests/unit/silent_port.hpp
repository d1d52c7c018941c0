#pragma once

#include "probes/address.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <deque>

namespace keepwell::test {

namespace asio = boost::asio;

// A listener whose queue is full: it neither takes nor refuses a connection, as a host behind a firewall.
class SilentPort {
public:
    explicit SilentPort(asio::io_context& loop, const std::string& address, std::uint16_t port = 0)
        : acceptor_{loop}
    {
        const asio::ip::tcp::endpoint at{asio::ip::make_address(address), port};
        acceptor_.open(at.protocol());
        acceptor_.bind(at);
        acceptor_.listen(0);
        for (int i = 0; i < 8; ++i) {
            asio::ip::tcp::socket& filler = fillers_.emplace_back(loop);
            filler.open(at.protocol());
            filler.non_blocking(true);
            const auto to = acceptor_.local_endpoint();
            (void)::connect(filler.native_handle(), to.data(),
                            static_cast<socklen_t>(to.size()));  // asio's would wait
        }
    }

    Address address() const
    {
        return {.host = acceptor_.local_endpoint().address().to_string(),
                .port = acceptor_.local_endpoint().port()};
    }

private:
    asio::ip::tcp::acceptor acceptor_;
    std::deque<asio::ip::tcp::socket> fillers_{};
};

}  // namespace keepwell::test
