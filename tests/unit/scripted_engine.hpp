#pragma once

#include "probes/engine.hpp"
#include "tests/unit/processes.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <map>

namespace keepwell::test {

// What a scripted Engine does in the middle of a reply.
struct Break {
    std::string at{};       // "GET /version": the request whose reply is broken; empty: none
    std::size_t after = 0;  // bytes of the reply that are still sent
    Fault fault = Fault::stall;
    int times = -1;  // how often; -1: always
};

inline std::string http_reply(int status, const std::string& body, const std::string& headers = {})
{
    return "HTTP/1.1 " + std::to_string(status) +
           " Words\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A Docker Engine on a unix socket that answers each request, named "METHOD /path" without version and query,
// with the next of its replies; the last one stays. It closes after each of them.
class ScriptedEngine {
public:
    explicit ScriptedEngine(asio::io_context& loop) : loop_{loop}, acceptor_{loop, endpoint()}
    {
        answer("GET /_ping", http_reply(200, "OK"));
        asio::co_spawn(loop, accept(), asio::detached);
    }
    ScriptedEngine(const ScriptedEngine&) = delete;
    ScriptedEngine& operator=(const ScriptedEngine&) = delete;

    EngineOptions options() const { return {.host = "unix://" + path()}; }
    std::string path() const { return folder_ / "docker.sock"; }
    void answer(const std::string& request, std::string reply)
    {
        replies_[request].push_back(std::move(reply));
    }
    void answer(const std::string& request, int status, const std::string& body = "{}")
    {
        answer(request, http_reply(status, body));
    }
    void always(const std::string& request, std::string reply) { replies_[request] = {std::move(reply)}; }
    void break_at(Break how) { break_ = std::move(how); }

    // What was asked, in order, with version and query; and the bodies that came with it.
    const std::vector<std::string>& asked() const { return asked_; }
    const std::vector<std::string>& bodies() const { return bodies_; }
    // The same without the version and what was asked to agree on it.
    std::vector<std::string> calls() const
    {
        std::vector<std::string> calls;
        for (const auto& line : asked_) {
            const auto blank = line.find(' ');
            const auto path = line.substr(blank + 1);
            if (path.starts_with("/v"))
                calls.push_back(line.substr(0, blank + 1) + path.substr(path.find('/', 1)));
        }
        return calls;
    }

private:
    using Socket = asio::local::stream_protocol::socket;

    asio::local::stream_protocol::endpoint endpoint() const { return {path()}; }

    asio::awaitable<void> accept()
    {
        for (;;) {
            Socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(loop_, serve(std::make_shared<Socket>(std::move(socket))),
                           [](std::exception_ptr) { /* the client has gone away */ });
        }
    }

    asio::awaitable<void> serve(std::shared_ptr<Socket> socket)
    {
        std::string got;
        const auto size = co_await asio::async_read_until(*socket, asio::dynamic_buffer(got), "\r\n\r\n",
                                                          asio::use_awaitable);
        std::string body = got.substr(size);
        const auto length = got.find("Content-Length: ");
        const auto wanted = length == got.npos ? 0 : std::stoul(got.substr(length + 16));
        if (body.size() < wanted)
            co_await asio::async_read(*socket, asio::dynamic_buffer(body),
                                      asio::transfer_exactly(wanted - body.size()), asio::use_awaitable);
        const auto line = got.substr(0, got.find(" HTTP/1.1"));
        asked_.push_back(line);
        bodies_.push_back(body);
        const auto reply = reply_to(line);
        const bool breaks = break_.at == name_of(line) && break_.times != 0;
        co_await asio::async_write(
            *socket, asio::buffer(reply.data(), breaks ? std::min(break_.after, reply.size()) : reply.size()),
            asio::use_awaitable);
        if (!breaks)
            co_return;
        break_.times -= break_.times > 0 ? 1 : 0;
        if (break_.fault == Fault::garbage)
            co_await asio::async_write(*socket, asio::buffer(std::string(4096, '\xfe')), asio::use_awaitable);
        if (break_.fault == Fault::endless)
            for (const std::string chunk(65'536, 'x');;)
                co_await asio::async_write(*socket, asio::buffer(chunk), asio::use_awaitable);
        if (break_.fault == Fault::stall)
            co_await socket->async_wait(Socket::wait_error, asio::use_awaitable);
    }

    static std::string name_of(const std::string& line)
    {
        const auto blank = line.find(' ');
        auto path = line.substr(blank + 1);
        if (path.starts_with("/v") && path.find('/', 1) != path.npos)
            path.erase(0, path.find('/', 1));
        return line.substr(0, blank + 1) + path.substr(0, path.find('?'));
    }

    std::string reply_to(const std::string& line)
    {
        const auto found = replies_.find(name_of(line));
        if (found == replies_.end())
            return http_reply(404, R"({"message":"page not found"})");
        auto& left = found->second;
        auto reply = left.front();
        if (left.size() > 1)
            left.erase(left.begin());
        return reply;
    }

    asio::io_context& loop_;
    Folder folder_{};
    asio::local::stream_protocol::acceptor acceptor_;
    std::map<std::string, std::vector<std::string>> replies_{};
    std::vector<std::string> asked_{};
    std::vector<std::string> bodies_{};
    Break break_{};
};

// What came of an awaitable that was run to its end: a value, or what it threw.
template <class T>
struct Came {
    std::optional<T> value{};
    std::optional<Verdict> failure{};
    Clock::duration took{};
};

template <class T>
Came<T> await_now(asio::io_context& loop, asio::awaitable<T> work)
{
    Came<T> came;
    bool done = false;
    const auto started = Clock::now();
    asio::co_spawn(loop, std::move(work), [&](std::exception_ptr error, T value) {
        done = true;
        try {
            if (error)
                std::rethrow_exception(error);
            came.value = std::move(value);
        } catch (const Failure& failure) {
            came.failure = failure.verdict;
        }
    });
    REQUIRE(run_until(loop, [&] { return done; }, std::chrono::seconds{30}));
    came.took = Clock::now() - started;
    return came;
}

}  // namespace keepwell::test
