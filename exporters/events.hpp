#pragma once

#include "probes/result.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell {

namespace asio = boost::asio;

// One event as server-sent events have it (WHATWG HTML §9.2): any text, its lines each on a line of data.
std::string event_text(std::string_view name, std::string_view data, std::string_view id = {});

// What one reader still has to be told: a bounded queue between the loop and a socket. Whoever reads too
// slowly is dropped, and comes back for all it has missed.
class EventStream {
public:
    static constexpr std::size_t most_waiting_bytes = 4 << 20;
    static constexpr Clock::duration heartbeat = std::chrono::seconds{15};

    explicit EventStream(asio::io_context& loop) : wake_{loop} {}

    // The next events, ready to be written; a comment when there are none for `heartbeat`, so that both ends
    // notice when the other is gone; empty once the stream has ended.
    asio::awaitable<std::string> next();
    void push(const std::shared_ptr<const std::string>& events);
    void end();
    bool ended() const { return ended_; }

private:
    asio::steady_timer wake_;
    std::deque<std::shared_ptr<const std::string>> waiting_{};
    std::size_t waiting_bytes_ = 0;
    bool ended_ = false;
};

// All streams that are open. They are owned by their connections.
class EventStreams {
public:
    static constexpr std::size_t most = 64;

    explicit EventStreams(asio::io_context& loop) : loop_{loop} {}
    ~EventStreams() { end(); }

    std::shared_ptr<EventStream> open();  // null when there are too many
    bool any();
    void push(std::string events);
    void end();

private:
    void forget_gone();

    asio::io_context& loop_;
    std::vector<std::weak_ptr<EventStream>> streams_{};
};

}  // namespace keepwell
