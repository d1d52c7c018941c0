#pragma once

#include "probes/runner.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::test {

// One exchange of a scripted peer: read exactly this many bytes, or up to and with `expect_end`; check
// nothing, then send.
struct Step {
    std::size_t expect_bytes = 0;
    std::string send{};
    std::string expect_end{};
};

// How late a loaded machine may be.
inline constexpr std::chrono::seconds slack{1};

// What the peer does when its script has ended, or before step `at`.
enum class Fault { stall, close, reset, garbage, endless };

struct Manner {
    Fault fault = Fault::stall;
    std::size_t fault_at = std::size_t(-1);
    std::string address = "127.0.0.1";
    bool drips = false;  // sends one byte at a time
};

// A server on loopback that serves connections, one after another, by the same script.
class ScriptedServer {
public:
    ScriptedServer(asio::io_context& loop, std::vector<Step> script, Manner manner)
        : script_{std::move(script)},
          manner_{std::move(manner)},
          acceptor_{loop, {asio::ip::make_address(manner_.address), 0}}
    {
        asio::co_spawn(loop, serve(), asio::detached);
    }
    ScriptedServer(asio::io_context& loop, std::vector<Step> script, Fault fault = Fault::stall,
                   std::size_t fault_at = std::size_t(-1))
        : ScriptedServer{loop, std::move(script), Manner{.fault = fault, .fault_at = fault_at}}
    {
    }
    Address address() const { return {.host = manner_.address, .port = acceptor_.local_endpoint().port()}; }
    const std::string& received() const { return received_; }
    int connections() const { return connections_; }

private:
    asio::awaitable<void> serve()
    {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            ++connections_;
            socket.set_option(asio::ip::tcp::no_delay{true});
            try {
                co_await converse(socket);
            } catch (const boost::system::system_error&) {  // the probe has gone away
            }
        }
    }
    asio::awaitable<void> converse(asio::ip::tcp::socket& socket)
    {
        for (std::size_t i = 0; i < script_.size() && i < manner_.fault_at; ++i) {
            std::string got(script_[i].expect_bytes, '\0');
            const auto& end = script_[i].expect_end;
            if (end.empty())
                co_await asio::async_read(socket, asio::buffer(got), asio::use_awaitable);
            else
                co_await asio::async_read_until(socket, asio::dynamic_buffer(got), end, asio::use_awaitable);
            received_ += got;
            co_await send(socket, script_[i].send);
        }
        switch (manner_.fault) {
            case Fault::close: co_return;
            case Fault::reset:
                socket.set_option(asio::socket_base::linger{true, 0});
                socket.close();  // the destructor would forget the option
                co_return;
            case Fault::garbage:
                co_await asio::async_write(socket, asio::buffer(std::string(4096, '\xfe')),
                                           asio::use_awaitable);
                break;
            case Fault::endless:
                for (const std::string chunk(65'536, 'x');;)
                    co_await asio::async_write(socket, asio::buffer(chunk), asio::use_awaitable);
            case Fault::stall: break;
        }
        std::array<char, 1024> rest{};
        for (;;) {
            const auto count = co_await socket.async_read_some(asio::buffer(rest), asio::use_awaitable);
            received_.append(rest.data(), count);
        }
    }

    asio::awaitable<void> send(asio::ip::tcp::socket& socket, std::string_view bytes)
    {
        const auto piece = manner_.drips ? 1 : bytes.size();
        for (; !bytes.empty(); bytes.remove_prefix(piece)) {
            co_await asio::async_write(socket, asio::buffer(bytes.substr(0, piece)), asio::use_awaitable);
            if (manner_.drips)
                co_await asio::post(socket.get_executor(),
                                    asio::use_awaitable);  // the other end gets its turn
        }
    }

    std::vector<Step> script_;
    Manner manner_;
    asio::ip::tcp::acceptor acceptor_;
    std::string received_{};
    int connections_ = 0;
};

// Runs one attempt on `loop` to its end and returns what came of it.
inline ProbeResult run_now(asio::io_context& loop, ProbeSpec spec,
                           Clock::duration timeout = std::chrono::seconds(2))
{
    std::optional<ProbeResult> result;
    asio::co_spawn(loop, run(std::make_shared<const ProbeSpec>(std::move(spec)), timeout),
                   [&](std::exception_ptr error, ProbeResult end) {
                       if (error)
                           std::rethrow_exception(error);
                       result = std::move(end);
                       loop.stop();
                   });
    loop.run_for(timeout + std::chrono::seconds(5));
    loop.restart();
    REQUIRE(result.has_value());
    return *result;
}

// The value of a fact; -1 without it.
inline double fact(const ProbeResult& result, std::string_view name)
{
    for (const auto& each : result.facts)
        if (each.name == name)
            return each.value;
    return -1;
}

}  // namespace keepwell::test
