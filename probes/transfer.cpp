#include "probes/transfer.hpp"

#include "probes/plain_http.hpp"
#include "probes/resolver.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <optional>

namespace keepwell {

namespace {

Address target_of(const HttpRequest& request)
{
    auto target = request.url.address();
    if (request.connect_to.empty())
        return target;
    if (auto other = Address::parse(request.connect_to))
        return *std::move(other);
    target.host = request.connect_to;
    return target;
}

// How long the next of so many addresses may take to connect, so that one where packets are dropped leaves
// time for the rest.
std::chrono::milliseconds share_of_time(const Progress& progress, std::size_t addresses_left)
{
    using std::chrono::milliseconds;
    if (addresses_left <= 1 || progress.deadline() == Clock::time_point::max())
        return milliseconds{0};
    const auto left = progress.deadline() - Clock::now();
    return std::max(milliseconds{1},
                    std::chrono::floor<milliseconds>(left) / static_cast<int>(addresses_left));
}

asio::awaitable<void> exchange_by(const HttpRequest& request, const Way& way, Progress& progress,
                                  HttpReply& reply)
{
    return is_plain(request) ? plain_exchange(request, way, progress, reply)
                             : exchange(request, way, progress, reply);
}

// Of what several addresses said, how much each says about the target: an answer before silence, silence
// before what the network says, and last what is only about us (where there is no IPv6, say).
int weight(const Verdict& verdict)
{
    if (verdict.outcome == Outcome::not_attempted)
        return 0;
    switch (verdict.reason) {
        case Reason::connection_refused:
        case Reason::connection_reset: return 3;
        case Reason::timeout: return 2;
        default: return 1;
    }
}

}  // namespace

bool same_name(std::string_view a, std::string_view b)
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

asio::awaitable<HttpReply> transfer(const HttpRequest& request, Progress& progress)
{
    HttpReply reply;
    co_await transfer(request, progress, reply);
    co_return reply;
}

asio::awaitable<void> transfer(const HttpRequest& request, Progress& progress, HttpReply& reply)
{
    if (!request.unix_socket.empty() || !request.proxy.empty())
        co_return co_await exchange(request, Way{}, progress, reply);
    const auto target = target_of(request);
    if (const auto known = numeric_form(target))
        co_return co_await exchange_by(request, Way{asio::ip::tcp::endpoint{*known, target.port}}, progress,
                                       reply);

    const auto executor = co_await asio::this_coro::executor;
    const auto addresses = co_await resolve(target, progress);
    std::optional<Verdict> refused;
    for (std::size_t i = 0;; ++i) {
        const auto left = addresses.size() - i;
        const Way way{asio::ip::tcp::endpoint{addresses[i], target.port}, share_of_time(progress, left)};
        try {
            co_return co_await exchange_by(request, way, progress, reply);
        } catch (const Failure& failure) {
            if (progress.phase() != Phase::connect)
                throw;
            if (!refused || weight(failure.verdict) > weight(*refused))
                refused = failure.verdict;
            if (left > 1)
                continue;
            forget_name(executor, target.host);
            throw Failure{*refused};
        } catch (const boost::system::system_error&) {  // out of time
            if (progress.phase() == Phase::connect)
                forget_name(executor, target.host);
            throw;
        }
    }
}

}  // namespace keepwell
