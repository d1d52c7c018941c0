#pragma once

#include "exporters/api.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include <memory>

namespace keepwell {

// Speaks HTTP/1.1 with one peer, from its first byte to its end. A peer that misbehaves gets an answer where
// that makes sense, and is closed. Bounded in header and body sizes, and in the time that each part of a
// conversation may take. `api` points to null once nothing is answered any more. `trusted`: the peer may
// change things. Throws nothing.
asio::awaitable<void> converse(asio::generic::stream_protocol::socket socket, bool trusted,
                               std::shared_ptr<Api*> api);

}  // namespace keepwell
