#pragma once

#include "probes/result.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace keepwell {

namespace asio = boost::asio;

// Cancels what a socket waits for when the time has come: for probes to which silence is an answer. The
// operation then throws operation_aborted, and has_rung() tells that from the end of the whole attempt. The
// socket must outlive it.
class Alarm {
public:
    Alarm(asio::ip::tcp::socket& socket, Clock::time_point at)
        : state_{std::make_shared<State>(socket.get_executor(), &socket)}
    {
        if (at == Clock::time_point::max())
            return;
        state_->timer.expires_at(at);
        state_->timer.async_wait([state = state_](boost::system::error_code cancelled) {
            if (cancelled || !state->socket)
                return;
            state->has_rung = true;
            state->socket->cancel(cancelled);
        });
    }
    ~Alarm()
    {
        state_->socket = nullptr;
        state_->timer.cancel();
    }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    bool has_rung() const { return state_->has_rung; }

private:
    struct State {
        State(const asio::any_io_executor& executor, asio::ip::tcp::socket* of) : timer{executor}, socket{of}
        {
        }
        asio::steady_timer timer;
        asio::ip::tcp::socket* socket;
        bool has_rung = false;
    };
    std::shared_ptr<State> state_;
};

}  // namespace keepwell
