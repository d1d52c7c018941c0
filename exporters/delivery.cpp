#include "exporters/delivery.hpp"

#include "probes/deadline.hpp"
#include "probes/duration.hpp"
#include "probes/probe.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>

#include <memory>

namespace keepwell {

namespace {

constexpr std::uint64_t most_of_the_reply = 64 << 10;
constexpr std::uint64_t kept_of_the_reply = 500;

// Is there hope that the same POST succeeds later? RFC 9110, 15.5-15.6; RFC 6585, 4; RFC 8470, 5.2.
bool worth_another_try(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

// Owns what a transfer uses, so that it may be given up on at its deadline.
struct Try {
    HttpRequest request{};
    Progress progress{};
};

asio::awaitable<Posted> attempt(std::shared_ptr<Try> each)
{
    try {
        auto reply = co_await transfer(each->request, each->progress);
        Posted posted{.status = reply.status, .answer = valid_utf8(reply.body)};
        if (reply.status >= 200 && reply.status < 300)
            co_return posted;
        posted.error = fmt::format("it answers with status {}", reply.status);
        posted.is_final = !worth_another_try(reply.status);
        co_return posted;
    } catch (const Failure& failure) {
        co_return Posted{
            .error = fmt::format("{}: {}", to_string(failure.verdict.reason), failure.verdict.detail)};
    } catch (const std::exception& error) {
        co_return Posted{.error = error.what()};
    }
}

}  // namespace

asio::awaitable<Posted> deliver(HttpRequest request, Clock::duration timeout)
{
    const auto each = std::make_shared<Try>();
    each->request = std::move(request);
    each->request.max_body = most_of_the_reply;
    each->request.keep_body = kept_of_the_reply;
    const auto begin = Clock::now();
    auto posted = co_await within(begin + timeout, attempt(each));
    if (!posted)
        posted = Posted{.error = fmt::format("no answer within {}", Duration{timeout}.text())};
    posted->took = Clock::now() - begin;
    co_return *std::move(posted);
}

Clock::duration jittered(Clock::duration length, std::mt19937_64& random)
{
    const auto half = static_cast<double>(length.count()) / 2;
    return length / 2 + Clock::duration{static_cast<Clock::rep>(
                            half * std::uniform_real_distribution<double>{0, 1}(random))};
}

}  // namespace keepwell
