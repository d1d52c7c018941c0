#include "probes/http_reply.hpp"
#include "probes/probe.hpp"
#include "tests/catch.hpp"

using namespace keepwell;

namespace {

struct Parsed {
    HttpReply reply{};
    std::string location{};
    std::string refusal{};  // of a Failure
    bool done = false;
    bool keeps = false;
};

// What comes of these bytes, in pieces of such a size, and, unless it is done then, the end of the
// connection.
Parsed parsed(std::string_view bytes, std::size_t piece, const std::string& method = "GET",
              std::uint64_t max_body = 100)
{
    const HttpRequest request{.method = method, .max_body = max_body, .keep_body = 100, .keep_headers = true};
    Parsed outcome;
    HttpReplyParser parser{request, outcome.reply};
    try {
        for (; !bytes.empty() && !parser.done(); bytes.remove_prefix(std::min(piece, bytes.size())))
            parser.feed(bytes.substr(0, piece));
        outcome.done = parser.done();
        outcome.keeps = parser.keeps_connection();
        if (!parser.done())
            parser.feed_end();
        CHECK(parser.done());
    } catch (const Failure& failure) {
        outcome.refusal =
            std::string{to_string(failure.verdict.outcome)} + ": " + std::string{failure.what()};
    }
    outcome.location = parser.location();
    return outcome;
}

}  // namespace

TEST_CASE("http reply: where an answer ends, and whether the connection may be kept")
{
    struct Row {
        const char* bytes;
        int status;
        const char* body;
        bool done;  // before the connection ends
        bool keeps;
    };
    const auto row = GENERATE(values<Row>({
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", 200, "ok\n", true, true},
        {"HTTP/1.1 200 OK\nContent-Length: 3\n\nok\n", 200, "ok\n", true, true},
        {"HTTP/1.1 200\r\ncontent-length:3 \r\n\r\nok\n", 200, "ok\n", true, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true, false},
        {"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true, false},
        {"HTTP/1.1 200 OK\r\n\r\nok", 200, "ok", false, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", 200, "ok", false, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 99\r\n\r\n"
         "2;x=y\r\nok\r\nA\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n",
         200, "ok0123456789", true, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", 200, "ok", true, true},
        {"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", 204, "", true, true},
        {"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", 304, "", true, true},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 101, "", true, false},
        {"HTTP/1.1 100 Go\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 404 No\r\n\r\nx",
         404, "x", false, false},
        {"HTTP/1.1 200 OK\r\nno colon\r\n Content-Length: 9\r\nContent-Length: 1\r\n\r\nx", 200, "x", true,
         true},
    }));
    const auto piece = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1000});
    CAPTURE(row.bytes, piece);
    const auto outcome = parsed(row.bytes, piece);
    CHECK(outcome.refusal.empty());
    CHECK(outcome.reply.status == row.status);
    CHECK(outcome.reply.body == row.body);
    CHECK(outcome.reply.body_bytes == outcome.reply.body.size());
    CHECK(outcome.done == row.done);
    CHECK(outcome.keeps == row.keeps);
}

TEST_CASE("http reply: what is refused, and what a connection that ends too soon means")
{
    struct Row {
        const char* bytes;
        const char* refusal;
    };
    const auto row = GENERATE(values<Row>({
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "rejected: this is not HTTP/1"},
        {"HTTP/2 200\r\n\r\n", "rejected: this is not HTTP/1"},
        {"HTTQ", "rejected: this is not HTTP/1"},
        {"HTTP/1.\r\n", "rejected: this is not HTTP/1"},
        {"HTTP/1.2 200 OK\r\n", "rejected: this version of HTTP is not understood"},
        {"HTTP/1.1 2000 OK\r\n", "rejected: its status line is not understood"},
        {"HTTP/1.1  200 OK\r\n", "rejected: its status line is not understood"},
        {"HTTP/1.1 099 OK\r\n", "rejected: its status line is not understood"},
        {"HTTP/1.1\r\n", "rejected: its status line is not understood"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
         "rejected: its Content-Length is not understood"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", "rejected: its Content-Length is not understood"},
        {"HTTP/1.1 200 OK\r\nContent-Length:\r\n", "rejected: its Content-Length is not understood"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
         "rejected: its Content-Length is not understood"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
         "rejected: the size of a chunk is not understood"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\n",
         "rejected: the size of a chunk is not understood"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
         "rejected: the size of a chunk is not understood"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay",
         "rejected: a chunk is longer than it said"},
        {"", "no_response: the peer closed the connection"},
        {"HTTP/1.1 2", "no_response: the peer closed the connection within the headers"},
        {"HTTP/1.1 200 OK\r\nX: y\r\n", "no_response: the peer closed the connection within the headers"},
        {"HTTP/1.1 100 Go\r\n\r\n", "no_response: the peer closed the connection within the headers"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
         "no_response: the peer closed the connection within the body, after 2 bytes"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
         "no_response: the peer closed the connection within the body, after 2 bytes"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
         "no_response: the peer closed the connection within the body, after 2 bytes"},
    }));
    const auto piece = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1000});
    CAPTURE(row.bytes, piece);
    CHECK(parsed(row.bytes, piece).refusal == row.refusal);
}

TEST_CASE("http reply: a zero byte in a header is refused")
{
    CHECK(parsed(std::string_view{"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 28}, 1000).refusal ==
          "rejected: there is a zero byte in its headers");
}

TEST_CASE("http reply: HEAD has no body whatever its headers say")
{
    const auto outcome = parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 1000, "HEAD");
    CHECK(outcome.done);
    CHECK(outcome.keeps);
}

TEST_CASE("http reply: a body is read as far as it is wanted")
{
    const std::string head = "HTTP/1.1 200 OK\r\n";
    const auto framing = GENERATE_COPY(values<std::string>(
        {"Content-Length: 26\r\n\r\n", "\r\n", "Transfer-Encoding: chunked\r\n\r\n1A\r\n"}));
    const auto piece = GENERATE(std::size_t{1}, std::size_t{1000});
    const auto outcome = parsed(head + framing + "abcdefghijklmnopqrstuvwxyz", piece, "GET", 10);
    CHECK(outcome.reply.body == "abcdefghij");
    CHECK(outcome.reply.body_cut);
    CHECK(outcome.done);
    CHECK_FALSE(outcome.keeps);
}

TEST_CASE("http reply: headers are kept, those of an answer that goes before are not")
{
    const auto outcome = parsed(
        "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 302 Found\r\nLocation:  /a b \r\nLocation: /c\r\n"
        "Content-Length: 0\r\n\r\n",
        1000);
    CHECK(outcome.location == "/a b");
    CHECK(outcome.reply.headers ==
          std::vector<HttpHeader>{{"Location", "/a b"}, {"Location", "/c"}, {"Content-Length", "0"}});
}

TEST_CASE("http reply: only a redirect has a location")
{
    CHECK(parsed("HTTP/1.1 201 Made\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 1000).location.empty());
}

TEST_CASE("http reply: what comes after the answer makes the connection useless")
{
    CHECK_FALSE(parsed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", 1000).keeps);
}

TEST_CASE("http reply: endless lines are ended")
{
    const HttpRequest request;
    HttpReply reply;
    HttpReplyParser parser{request, reply};
    const auto begin = GENERATE(
        "HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ");
    CAPTURE(begin);
    const std::string more(1000, 'x');
    const auto feed_for_ever = [&] {
        parser.feed(begin);
        for (int i = 0; i < 300; ++i)
            parser.feed(more);
    };
    CHECK_THROWS_AS(feed_for_ever(), Failure);
}
