#pragma once

#include "tests/catch.hpp"
#include "tests/unit/scripted_server.hpp"

#include <boost/asio/awaitable.hpp>

namespace keepwell::test {

// GET goes over a socket of ours, what needs more than that through libcurl: both must say the same.
inline constexpr auto by_us = "GET";
inline constexpr auto by_curl = "OPTIONS";

inline const std::string good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

// Waits for the end of a request's headers, then sends these bytes.
inline Step reply(std::string bytes) { return {.send = std::move(bytes), .expect_end = "\r\n\r\n"}; }

inline HttpSpec at(const Address& address, const std::string& path = "/")
{
    return {.url = Url::parse("http://" + address.text() + path).value()};
}

// The value of a header in a request that was received; empty without it.
inline std::string header(const std::string& request, const std::string& name)
{
    const auto begin = request.find("\r\n" + name + ": ");
    if (begin == request.npos)
        return {};
    const auto value = begin + name.size() + 4;
    return request.substr(value, request.find("\r\n", value) - value);
}

// Sends the good answer to whoever connects, for ever.
template <class Acceptor>
asio::awaitable<void> answer_all(Acceptor& acceptor)
{
    for (;;) {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        co_await asio::async_write(socket, asio::buffer(good), asio::use_awaitable);
    }
}

// Runs one attempt against a peer that gives this one answer and closes.
inline ProbeResult answered(std::string bytes, HttpSpec spec = {},
                            Clock::duration timeout = std::chrono::seconds(2))
{
    asio::io_context loop;
    ScriptedServer server{loop, {reply(std::move(bytes))}, Fault::close};
    spec.url = at(server.address()).url;
    return run_now(loop, std::move(spec), timeout);
}

}  // namespace keepwell::test
