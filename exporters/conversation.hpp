#pragma once

#include "exporters/api.hpp"
#include "exporters/connections.hpp"
#include "exporters/door/door.hpp"
#include "exporters/door/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include <memory>

namespace keepwell {

// What all conversations of a server have in common.
struct Reception {
    Api* api;                    // null once nothing is answered any more
    std::shared_ptr<Door> door;  // who may come in
    Connections connections;
    Worker handshakes;

    Reception(asio::io_context& loop, Api& to, std::shared_ptr<Door> at, std::size_t most_connections)
        : api{&to}, door{std::move(at)}, connections{loop, most_connections}, handshakes{loop}
    {
    }
};

// Speaks HTTP/1.1 with one peer, over TLS where the door says so, from its first byte to its end. A peer that
// misbehaves gets an answer where that makes sense, and is closed. Bounded in header and body sizes, and in
// the time that each part of a conversation may take. Throws nothing.
asio::awaitable<void> converse(asio::generic::stream_protocol::socket socket, Peer peer,
                               std::shared_ptr<Reception> reception);

}  // namespace keepwell
