#include "probes/resolver.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace keepwell {

asio::awaitable<std::vector<asio::ip::address>> resolve(std::string host)
{
    asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
    std::vector<asio::ip::address> addresses;
    try {
        for (const auto& entry : co_await resolver.async_resolve(host, "", asio::use_awaitable))
            addresses.push_back(entry.endpoint().address());
    } catch (const boost::system::system_error& error) {
        throw Failure{no_response(Reason::dns_failure, host + ": " + error.code().message())};
    }
    co_return addresses;
}

asio::awaitable<std::vector<asio::ip::address>> resolve(const Address& address, Progress& progress)
{
    progress.enter(Phase::resolve);
    const auto& host = address.pinned.empty() ? address.host : address.pinned;
    boost::system::error_code not_numeric;
    const auto numeric = asio::ip::make_address(host, not_numeric);
    if (!not_numeric)
        co_return std::vector{numeric};
    co_return co_await resolve(host);
}

}  // namespace keepwell
