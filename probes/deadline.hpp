#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>

namespace keepwell {

namespace asio = boost::asio;

// Awaits `work` until `deadline` at the latest; nothing means that time ran out.
//
// Unlike asio's operator||, this neither waits for the loser nor lets an exception of `work` wait for the
// timer: the loser is told to stop and unwinds by itself, so `work` must own what it uses.
template <class T>
asio::awaitable<std::optional<T>> within(std::chrono::steady_clock::time_point deadline,
                                         asio::awaitable<T> work)
{
    struct Race {
        asio::steady_timer timer;
        asio::cancellation_signal stop{};
        std::optional<T> value{};
        std::exception_ptr error{};
        Race(const asio::any_io_executor& executor, std::chrono::steady_clock::time_point until)
            : timer{executor, until}
        {
        }
    };
    auto executor = co_await asio::this_coro::executor;
    auto race = std::make_shared<Race>(executor, deadline);

    asio::co_spawn(executor, std::move(work),
                   asio::bind_cancellation_slot(race->stop.slot(), [race](std::exception_ptr error, T value) {
                       race->error = std::move(error);
                       race->value = std::move(value);
                       race->timer.cancel();
                   }));
    if (!race->value)
        co_await race->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (race->error)
        std::rethrow_exception(race->error);
    if (!race->value)
        race->stop.emit(asio::cancellation_type::terminal);
    co_return std::move(race->value);
}

}  // namespace keepwell
