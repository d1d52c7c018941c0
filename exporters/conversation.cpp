#include "exporters/conversation.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace keepwell {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using Connection = beast::basic_stream<asio::generic::stream_protocol>;
using RawRequest = http::request<http::string_body>;
using RawResponse = http::response<http::string_body>;

constexpr std::uint32_t most_header_bytes = 16 << 10;
constexpr std::uint64_t most_body_bytes = 64 << 10;
constexpr auto request_limit =
    10s;  // for a request to arrive once its first byte has, and for each part of the answer to be taken
constexpr auto idle_limit = 120s;  // between two requests of one connection

RawResponse to_beast(const RawRequest& request, ApiResponse& answer)
{
    RawResponse response{static_cast<http::status>(answer.status), request.version()};
    if (!answer.body.empty() || (answer.status != 204 && answer.status != 304))
        response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : answer.headers)
        response.set(name, value);
    response.keep_alive(request.keep_alive() && !answer.events);
    if (answer.events)
        return response;  // it ends with the connection
    response.body() = std::move(answer.body);
    response.prepare_payload();
    return response;
}

ApiRequest to_api(const RawRequest& request, bool trusted,
                  std::pair<std::string, std::map<std::string, std::string>> target)
{
    const auto header = [&](auto name) { return std::string{request[name]}; };
    return {.method = std::string{request.method_string()},
            .path = std::move(target.first),
            .query = std::move(target.second),
            .host = header(http::field::host),
            .origin = header(http::field::origin),
            .fetch_site = header("Sec-Fetch-Site"),
            .accept = header(http::field::accept),
            .if_none_match = header(http::field::if_none_match),
            .last_event_id = header("Last-Event-ID"),
            .body = request.body(),
            .trusted = trusted};
}

asio::awaitable<ApiResponse> answer(Api& api, const RawRequest& request, bool trusted)
{
    auto target = split_target({request.target().data(), request.target().size()});
    if (!target)
        co_return ApiResponse{400, "text/plain", "malformed request target\n"};
    auto reply = api.answer(to_api(request, trusted, std::move(*target)));
    const auto executor = co_await asio::this_coro::executor;
    while (reply.more && reply.more(reply.body))
        co_await asio::post(executor, asio::use_awaitable);
    co_return reply;
}

ApiResponse refused(const boost::system::error_code& error)
{
    const int status = error == http::error::body_limit     ? 413
                       : error == http::error::header_limit ? 431
                                                            : 400;
    return {status, "text/plain", "malformed request: " + error.message() + "\n"};
}

// What is read next, or why it is no request.
asio::awaitable<boost::system::error_code> read(Connection& stream, beast::flat_buffer& buffer,
                                                RawRequest& request)
{
    http::request_parser<http::string_body> parser;
    parser.header_limit(most_header_bytes);
    parser.body_limit(most_body_bytes);
    stream.expires_after(idle_limit);
    if (buffer.size() == 0) {
        const auto room = buffer.prepare(4096);
        buffer.commit(co_await stream.async_read_some(room, asio::use_awaitable));
    }
    stream.expires_after(request_limit);
    const auto [error, count] =
        co_await http::async_read(stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
    request = parser.release();
    co_return error;
}

// Events as they come, until one of the two sides ends it. Whatever the peer sends now, even its farewell,
// ends it, too.
asio::awaitable<void> write_events(Connection& stream, std::shared_ptr<EventStream> events)
{
    const struct Farewell {
        EventStream& events;
        ~Farewell() { events.end(); }
    } farewell{*events};
    stream.socket().async_wait(asio::socket_base::wait_read,
                               [events](boost::system::error_code) { events->end(); });
    for (;;) {
        const auto text = co_await events->next();
        if (text.empty())
            co_return;
        stream.expires_after(request_limit);
        co_await asio::async_write(stream, asio::buffer(text), asio::use_awaitable);
    }
}

// Whether the conversation goes on.
asio::awaitable<bool> write(Connection& stream, const RawRequest& request, ApiResponse reply)
{
    auto response = to_beast(request, reply);
    stream.expires_after(request_limit);
    if (request.method() == http::verb::head || reply.events) {
        http::response_serializer<http::string_body> head{response};
        co_await http::async_write_header(stream, head, asio::use_awaitable);
    } else {
        co_await http::async_write(stream, response, asio::use_awaitable);
    }
    if (reply.events)
        co_await write_events(stream, std::move(reply.events));
    co_return response.keep_alive();
}

}  // namespace

asio::awaitable<void> converse(asio::generic::stream_protocol::socket socket, bool trusted,
                               std::shared_ptr<Api*> api)
{
    Connection stream{std::move(socket)};
    beast::flat_buffer buffer;
    try {
        for (bool goes_on = true; goes_on;) {
            RawRequest request;
            const auto error = co_await read(stream, buffer, request);
            const bool bad = error.failed();
            const bool nonsense =
                error.category() == http::make_error_code(http::error::bad_method).category();
            if (error == http::error::end_of_stream || error == beast::error::timeout || (bad && !nonsense) ||
                !*api)
                co_return;
            if (bad)
                request.keep_alive(false);
            ApiResponse reply;
            if (bad)
                reply = refused(error);
            else
                reply = co_await answer(**api, request, trusted);
            goes_on = co_await write(stream, request, std::move(reply));
        }
        boost::system::error_code ignored;
        stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    } catch (const boost::system::system_error&) {  // the peer has gone, or was too slow
    }
}

}  // namespace keepwell
