#pragma once

#include "probes/curl.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace keepwell {

struct CurlShard;

// An easy handle of curl's, with what is set on it and the transfer it makes just now. Handles are used
// again, because making one and setting its options costs as much CPU as the rest of what curl does for a
// transfer.
class CurlHandle {
public:
    explicit CurlHandle(const asio::any_io_executor& executor);
    CurlHandle(const CurlHandle&) = delete;
    CurlHandle& operator=(const CurlHandle&) = delete;
    ~CurlHandle();

    // Whether it is set for such a request but for its target, which is cheap to change.
    bool suits(const HttpRequest& request) const;
    // Sets what differs. The three are used until the transfer has ended or the handle is taken out of its
    // shard.
    void prepare(const HttpRequest& request, const Way& way, Progress& progress, HttpReply& reply);

    void* easy() const;  // its CURL*
    bool has_ended() const;
    void end(int code);               // with a CURLcode
    asio::awaitable<void> wait();     // until it has ended, or the coroutine is cancelled
    void complete(HttpReply& reply);  // adds what curl knows; throws Failure unless there is an answer

    CurlShard* shard = nullptr;  // that it is in

    struct State;

private:
    std::unique_ptr<State> state_;
};

}  // namespace keepwell
