#include "tests/catch.hpp"

#include "exporters/badge.hpp"
#include "exporters/events.hpp"
#include "exporters/markup.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

std::string escaped(const std::string& text)
{
    std::string out;
    Markup{out} << text;
    return out;
}

// What a stream hands over, until it ends.
asio::awaitable<void> read_all(std::shared_ptr<EventStream> stream, std::string& read, int& reads)
{
    for (;;) {
        const auto text = co_await stream->next();
        ++reads;
        if (text.empty())
            co_return;
        read += text;
    }
}

}  // namespace

TEST_CASE("markup: no text from outside is ever markup, between tags or in an attribute")
{
    auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"plain µ → é", "plain µ → é"},
        {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
        {"\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;"},
        {"]]><!--", "]]&gt;&lt;!--"},
        {std::string{"a\0b", 3},
         "a\xEF\xBF\xBD"
         "b"},
        {"\x1B[31m\x7F", "\xEF\xBF\xBD[31m\xEF\xBF\xBD"},
        {"line\nline\ttab\r", "line\nline\ttab\xEF\xBF\xBD"},
        {"\xC3\x28\xF0\x82\x82\xAC", "\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"", ""},
    }));
    CHECK(escaped(text) == expected);
}

TEST_CASE("markup: literals stay as they are, numbers are written")
{
    std::string out;
    Markup html{out};
    html << "<td id=\"x-" << 42 << "\">" << std::string_view{"<"} << "</td>";
    CHECK(out == "<td id=\"x-42\">&lt;</td>");
}

TEST_CASE("markup: a segment of a URL cannot leave its place")
{
    CHECK(url_segment("api-1.2_b~") == "api-1.2_b~");
    CHECK(url_segment("a/../b?c#d e\"<é") == "a%2F..%2Fb%3Fc%23d%20e%22%3C%C3%A9");
}

TEST_CASE("markup: lengths of time are short and tell the unit")
{
    auto [length, expected] = GENERATE(table<std::chrono::nanoseconds, std::string>({
        {0ns, "0 µs"},
        {850us, "850 µs"},
        {999'400ns, "999 µs"},
        {999'600ns, "1.0 ms"},
        {2340us, "2.3 ms"},
        {99'940us, "99.9 ms"},
        {99'960us, "100 ms"},
        {999'400us, "999 ms"},
        {999'600us, "1.00 s"},
        {12'345ms, "12.35 s"},
    }));
    CHECK(length_text(length) == expected);
}

TEST_CASE("markup: ages get coarser with time")
{
    auto [age, expected] = GENERATE(table<std::chrono::nanoseconds, std::string>({
        {-5s, "0 s"},
        {59s, "59 s"},
        {60s, "1 min"},
        {3599s, "59 min"},
        {1h, "1 h"},
        {47h, "47 h"},
        {48h, "2 d"},
    }));
    CHECK(age_text(age) == expected);
}

TEST_CASE("badge: says name and state, and nothing in them is markup")
{
    const auto badge = badge_svg("db", "healthy");
    CHECK(badge.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    CHECK(badge.find("aria-label=\"db: healthy\"") != std::string::npos);
    CHECK(badge.find("#1b7a4d") != std::string::npos);
    CHECK(badge_svg("db", "unhealthy").find("#c42b2b") != std::string::npos);
    const auto hostile = badge_svg("\"/><script>x</script>", "healthy");
    CHECK(hostile.find("<script") == std::string::npos);
    CHECK(hostile.find("&quot;/&gt;&lt;script&gt;") != std::string::npos);
}

TEST_CASE("events: each line of an event's text is a line of data, whatever ends it")
{
    auto [data, expected] = GENERATE(table<std::string, std::string>({
        {"", "event: x\ndata: \n\n"},
        {"one", "event: x\ndata: one\n\n"},
        {"one\ntwo", "event: x\ndata: one\ndata: two\n\n"},
        {"one\r\ntwo\rthree\n", "event: x\ndata: one\ndata: two\ndata: three\ndata: \n\n"},
        {"\n\nevent: forged\nid: 1", "event: x\ndata: \ndata: \ndata: event: forged\ndata: id: 1\n\n"},
    }));
    CHECK(event_text("x", data) == expected);
    CHECK(event_text("x", "y", "7.1") == "id: 7.1\nevent: x\ndata: y\n\n");
}

TEST_CASE("events: a stream hands over what was pushed, in order, and ends when it is told to")
{
    asio::io_context loop;
    EventStreams streams{loop};
    CHECK_FALSE(streams.any());
    auto stream = streams.open();
    CHECK(streams.any());
    std::string read;
    int reads = 0;
    streams.push("a");
    streams.push("b");
    asio::co_spawn(loop, read_all(stream, read, reads), asio::detached);
    loop.run_for(10ms);
    CHECK(read == "ab");
    streams.push("c");
    loop.run_for(10ms);
    CHECK(read == "abc");
    streams.end();
    loop.run_for(1s);
    CHECK(loop.stopped());
    CHECK_FALSE(streams.any());
}

TEST_CASE("events: whoever reads too slowly is dropped, and no more are let in than can be served")
{
    asio::io_context loop;
    EventStreams streams{loop};
    auto slow = streams.open();
    const std::string megabyte(1 << 20, 'x');
    for (std::size_t sent = 0; sent <= EventStream::most_waiting_bytes; sent += megabyte.size()) {
        CHECK_FALSE(slow->ended());
        streams.push(megabyte);
    }
    CHECK(slow->ended());

    std::vector<std::shared_ptr<EventStream>> open;
    while (auto stream = streams.open())
        open.push_back(stream);
    CHECK(open.size() == EventStreams::most);
    open.pop_back();  // its connection is gone
    CHECK(streams.open());
}
