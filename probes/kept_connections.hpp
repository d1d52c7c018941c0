#pragma once

#include "probes/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <unordered_map>
#include <vector>

namespace keepwell {

namespace asio = boost::asio;

// Idle TCP connections of one loop between the attempts that use them, by where they lead to. None is kept
// unused for more than two minutes or so.
class KeptConnections final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit KeptConnections(asio::execution_context& context);
    KeptConnections(const KeptConnections&) = delete;
    KeptConnections& operator=(const KeptConnections&) = delete;

    // One on which nothing has come since, as far as can be told: its peer may be closing it just now.
    std::optional<asio::ip::tcp::socket> take(const asio::ip::tcp::endpoint& to);
    void give(const asio::ip::tcp::endpoint& to, asio::ip::tcp::socket socket);

private:
    struct Idle {
        asio::ip::tcp::socket socket;
        Clock::time_point since;
    };

    void shutdown() noexcept override;
    void drop_old(Clock::time_point now);

    std::unordered_map<asio::ip::tcp::endpoint, std::vector<Idle>> idle_{};
    Clock::time_point looked_at_ = Clock::now();
};

KeptConnections& kept_connections(const asio::any_io_executor& executor);

}  // namespace keepwell
