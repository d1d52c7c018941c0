#pragma once

#include "deploy/app/lane.hpp"
#include "deploy/app/site.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace keepwell::app {

// An HTTP server whose handlers may block: a pool of threads, one connection each. Requests are bounded (8
// KiB of head, 64 KiB of body, seconds to send them).
class HttpServer {
public:
    HttpServer(const Site& site, Faults& faults);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();  // stops

    // Listens on host (empty: every address) and answers from a thread of its own; the port it got.
    Result<int> start(const std::string& host, std::uint16_t port);

    // Accepts nothing more, finishes the requests in flight, releases those that hang.
    void stop();

private:
    struct Server;
    std::unique_ptr<Server> server_;
};

// POSTs an empty body to an http:// URL; true for a 2xx answer. Every step is bounded by `limit`.
Result<bool> http_post(const std::string& url, std::chrono::milliseconds limit);

}  // namespace keepwell::app
