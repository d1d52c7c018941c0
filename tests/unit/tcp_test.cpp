#include "tests/catch.hpp"
#include "tests/unit/scripted_server.hpp"

using namespace keepwell;
using namespace keepwell::test;

TEST_CASE("tcp: an open port is ok, a closed one refuses")
{
    asio::io_context loop;
    ScriptedServer server{loop, {}};
    CHECK(run_now(loop, TcpSpec{.address = server.address()}).outcome == Outcome::ok);

    const auto closed = run_now(loop, TcpSpec{.address = {.host = "127.0.0.1", .port = 1}});
    CHECK(closed.outcome == Outcome::no_response);
    CHECK(closed.reason == Reason::connection_refused);
    CHECK(closed.phase == Phase::connect);
}
