#pragma once

#include "probes/probe.hpp"

#include <cstddef>

namespace keepwell {

enum class Ready : std::uint8_t { read, write };

// Waits on the loop until a socket that a C library owns is ready. It is registered only while we wait: the
// library may close it, and open another one under the same number, as soon as it is called again. Throws
// boost::system::system_error when the wait is cancelled.
asio::awaitable<void> wait_for(int descriptor, Ready what);

// How many bytes a socket holds that nobody has read yet; 0 when that cannot be told.
std::size_t unread_bytes(int descriptor);

}  // namespace keepwell
