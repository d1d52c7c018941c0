#pragma once

#include "tests/unit/processes.hpp"

#include <boost/asio/read_until.hpp>

#include <string>
#include <vector>

namespace keepwell::test {

// What the receiver does with a POST, besides answering with a status.
inline constexpr int close_it = 0;
inline constexpr int hang = -1;
inline constexpr int answer_nonsense = -2;

struct Post {
    std::string head{};
    std::string body{};

    std::string header(const std::string& name) const
    {
        const auto at = head.find("\r\n" + name + ": ");
        if (at == head.npos)
            return {};
        const auto begin = at + name.size() + 4;
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }
};

// Takes POSTs on loopback, and answers them one after another by the script; the last step is repeated.
class ScriptedReceiver {
public:
    ScriptedReceiver(asio::io_context& loop, std::vector<int> script)
        : script_{std::move(script)}, acceptor_{loop, {asio::ip::make_address("127.0.0.1"), 0}}
    {
        asio::co_spawn(loop, serve(), asio::detached);
    }
    std::string url() const
    {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/hook?room=1";
    }
    const std::vector<Post>& posts() const { return posts_; }
    void then(std::vector<int> script)
    {
        script_ = std::move(script);
        step_ = 0;
    }

private:
    asio::awaitable<void> serve()
    {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(acceptor_.get_executor(), converse(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> converse(asio::ip::tcp::socket socket)
    {
        std::string bytes;
        for (;;) {
            const auto end = co_await asio::async_read_until(socket, asio::dynamic_buffer(bytes), "\r\n\r\n",
                                                             asio::use_awaitable);
            Post post{.head = bytes.substr(0, end)};
            const auto length = std::stoul(post.header("Content-Length"));
            if (bytes.size() < end + length)
                co_await asio::async_read(socket, asio::dynamic_buffer(bytes),
                                          asio::transfer_exactly(end + length - bytes.size()),
                                          asio::use_awaitable);
            post.body = bytes.substr(end, length);
            bytes.erase(0, end + length);
            posts_.push_back(std::move(post));
            const auto step = script_[std::min(step_++, script_.size() - 1)];
            if (step == close_it)
                co_return;
            std::string answer = "HTTP/1.1 " + std::to_string(step) + " Something\r\nContent-Length: 2\r\n" +
                                 (step == 302 ? "Location: /elsewhere\r\n" : "") + "\r\nok";
            if (step == answer_nonsense)
                answer = std::string(512, '\xfe') + "\r\n\r\n";
            if (step != hang)
                co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
        }
    }

    std::vector<int> script_;
    std::size_t step_ = 0;
    asio::ip::tcp::acceptor acceptor_;
    std::vector<Post> posts_{};
};

}  // namespace keepwell::test
