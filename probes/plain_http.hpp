#pragma once

#include "probes/curl.hpp"

namespace keepwell {

// Whether a request needs nothing that only libcurl can do: GET or HEAD by HTTP/1 over TCP, without TLS,
// credentials and a body.
bool is_plain(const HttpRequest& request);

// exchange() for such requests, on a socket of ours: a third of the CPU that libcurl adds to what the
// kernel takes.
asio::awaitable<void> plain_exchange(const HttpRequest& request, Way way, Progress& progress,
                                     HttpReply& reply);

}  // namespace keepwell
