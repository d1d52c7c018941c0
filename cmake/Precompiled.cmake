# Headers of others that most files read, read once: half of the time of a build from nothing. Only third-party and standard
# ones, so that a change of ours never means to compile everything. Off where files are to show that they include what they use.
option(KEEPWELL_PRECOMPILED_HEADERS "precompile the headers of others" OFF)
if(KEEPWELL_PRECOMPILED_HEADERS AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")  # for ccache(1), PRECOMPILED HEADERS
endif()

set(keepwell_common_headers
    <algorithm> <array> <charconv> <chrono> <expected> <filesystem> <functional> <map> <memory> <optional> <set> <span> <string>
    <string_view> <tuple> <utility> <vector>
    <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp> <boost/asio/detached.hpp>
    <boost/asio/generic/stream_protocol.hpp> <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp>
    <boost/asio/local/stream_protocol.hpp> <boost/asio/post.hpp> <boost/asio/steady_timer.hpp> <boost/asio/this_coro.hpp>
    <boost/asio/use_awaitable.hpp> <boost/json.hpp> <fmt/format.h>)

# keepwell_precompile(TARGET [HEADERS...]): the common headers, and these.
function(keepwell_precompile target)
    if(KEEPWELL_PRECOMPILED_HEADERS)
        target_precompile_headers(${target} PRIVATE ${keepwell_common_headers} ${ARGN})
    endif()
endfunction()
