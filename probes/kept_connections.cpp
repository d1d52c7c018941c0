#include "probes/kept_connections.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>

namespace keepwell {

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

constexpr auto longest_idle = 120s;  // servers close sooner, most after a minute or so
constexpr auto between_looks = 30s;

// Its peer has neither closed it nor said anything that nobody asked for.
bool is_quiet(tcp::socket& socket)
{
    char byte = 0;
    return ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

// A socket first: so its service is there before this one, and is shut down after it.
KeptConnections::KeptConnections(asio::execution_context& context) : service{context}
{
    const tcp::socket first{static_cast<asio::io_context&>(context)};
}

std::optional<tcp::socket> KeptConnections::take(const tcp::endpoint& to)
{
    const auto found = idle_.find(to);
    if (found == idle_.end())
        return std::nullopt;
    auto& kept = found->second;
    while (!kept.empty()) {
        auto last = std::move(kept.back());
        kept.pop_back();
        if (Clock::now() - last.since < longest_idle && is_quiet(last.socket))
            return std::move(last.socket);
    }
    return std::nullopt;
}

void KeptConnections::give(const tcp::endpoint& to, tcp::socket socket)
{
    const auto now = Clock::now();
    idle_[to].push_back({std::move(socket), now});
    if (now - looked_at_ >= between_looks)
        drop_old(now);
}

void KeptConnections::drop_old(Clock::time_point now)
{
    looked_at_ = now;
    for (auto& [to, kept] : idle_)
        std::erase_if(kept, [&](const Idle& idle) { return now - idle.since >= longest_idle; });
    std::erase_if(idle_, [](const auto& each) { return each.second.empty(); });
}

void KeptConnections::shutdown() noexcept { idle_.clear(); }

KeptConnections& kept_connections(const asio::any_io_executor& executor)
{
    return asio::use_service<KeptConnections>(asio::query(executor, asio::execution::context));
}

}  // namespace keepwell
