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

TEST_CASE("tcp: an attempt ends with a reset, so that no TIME_WAIT is left")
{
    asio::io_context loop;
    asio::ip::tcp::acceptor acceptor{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    const Address address{.host = "127.0.0.1", .port = acceptor.local_endpoint().port()};
    REQUIRE(run_now(loop, TcpSpec{.address = address}).outcome == Outcome::ok);

    auto peer = acceptor.accept();
    boost::system::error_code error;
    char byte{};
    peer.read_some(asio::buffer(&byte, 1), error);
    CHECK(error == asio::error::connection_reset);
}
