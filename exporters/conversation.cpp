#include "exporters/conversation.hpp"

#include "daemon/log.hpp"
#include "exporters/wire.hpp"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <optional>

namespace keepwell {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using RawRequest = http::request<http::string_body>;

constexpr std::uint32_t most_header_bytes = 16 << 10;
constexpr std::uint64_t most_body_bytes = 64 << 10;
constexpr auto request_limit = 10s;  // for a handshake, and for a request once its first byte has come
constexpr auto idle_limit = 120s;    // between two requests of one connection
constexpr auto farewell_limit = 2s;  // for a peer to stop talking when it is not listened to any more
constexpr std::size_t most_farewell_bytes = 1 << 20;
constexpr std::size_t slowest_peer = 100'000;  // bytes a second that it has to take of an answer

Clock::duration write_limit(std::size_t bytes) { return request_limit + bytes / slowest_peer * 1s; }

std::optional<ApiResponse> refused(const boost::system::error_code& error)
{
    const int status = error == http::error::body_limit     ? 413
                       : error == http::error::header_limit ? 431
                                                            : 400;
    return ApiResponse{status, "text/plain", "malformed request: " + error.message() + "\n"};
}

// Lines of one name are one value (RFC 9110 §5.3); of two that must be one, nobody's.
std::string header_of(const RawRequest& request, std::string_view name)
{
    std::string value;
    const auto [first, last] = request.equal_range(beast::string_view{name.data(), name.size()});
    for (auto line = first; line != last; ++line) {
        value += line == first ? "" : ", ";
        value.append(line->value().data(), line->value().size());
    }
    return value;
}

// What may be read in two ways is not read at all: somebody before us may have read it otherwise, and what
// we took for the next request was a part of this one (RFC 9112 §3.2, §6.1).
std::optional<ApiResponse> refused(const RawRequest& request)
{
    const auto hosts = request.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && request.version() > 10))
        return ApiResponse{400, "text/plain", "malformed request: exactly one Host is needed\n"};
    const auto encoding = header_of(request, "Transfer-Encoding");
    if (request.count(http::field::transfer_encoding) > 0 && !beast::iequals(encoding, "chunked"))
        return ApiResponse{501, "text/plain", "of all transfer encodings only chunked is understood\n"};
    return {};
}

ApiRequest to_api(const RawRequest& request, Visitor visitor,
                  std::pair<std::string, std::map<std::string, std::string>> target)
{
    const auto header = [&](std::string_view name) { return header_of(request, name); };
    return {.method = std::string{request.method_string()},
            .path = std::move(target.first),
            .query = std::move(target.second),
            .host = header("Host"),
            .origin = header("Origin"),
            .fetch_site = header("Sec-Fetch-Site"),
            .accept = header("Accept"),
            .if_none_match = header("If-None-Match"),
            .last_event_id = header("Last-Event-ID"),
            .scrape_timeout = header("X-Prometheus-Scrape-Timeout-Seconds"),
            .body = request.body(),
            .visitor = std::move(visitor)};
}

bool has_header(const ApiResponse& reply, std::string_view name)
{
    return std::ranges::any_of(reply.headers, [&](const auto& header) { return header.first == name; });
}

class Conversation {
public:
    Conversation(asio::generic::stream_protocol::socket socket, Peer peer,
                 std::shared_ptr<Reception> reception)
        : reception_{std::move(reception)},
          wire_{std::move(socket)},
          place_{reception_->connections, wire_},
          peer_{std::move(peer)}
    {
    }
    asio::awaitable<void> run();

private:
    asio::awaitable<bool> greet();
    asio::awaitable<boost::system::error_code> read(RawRequest& request);
    asio::awaitable<void> receive();
    asio::awaitable<ApiResponse> answer(const RawRequest& request);
    std::string head_of(const ApiResponse& reply, const RawRequest& request) const;
    asio::awaitable<void> write(const RawRequest& request, ApiResponse reply);
    asio::awaitable<void> write_events(std::shared_ptr<EventStream> events);
    void end_when_heard_from(std::shared_ptr<EventStream> events);
    asio::awaitable<void> hear_out();

    std::shared_ptr<Reception> reception_;
    Wire wire_;
    Connections::Place place_;
    Peer peer_;
    std::shared_ptr<const TlsServer> tls_{};
    std::string received_{};  // and not parsed yet
    bool goes_on_ = true;
};

// False when there is nobody to talk to.
asio::awaitable<bool> Conversation::greet()
{
    if (peer_.local)
        co_return true;
    reception_->door->look_again(Clock::now());
    tls_ = reception_->door->tls();
    if (!tls_)
        co_return true;
    place_.waits(request_limit);
    std::string failure;
    const bool done = co_await wire_.start_tls(tls_, reception_->handshakes, failure);
    if (failure == ServerTls::spoken_plainly) {
        co_await wire_.write_plainly(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
            "this port speaks TLS: use https\n");
        co_await hear_out();
    }
    if (!done && !failure.empty())
        log(LogLevel::debug, "TLS handshake failed", {{"peer", peer_.address}, {"reason", failure}});
    peer_.certificate = wire_.client_name();
    co_return done;
}

asio::awaitable<void> Conversation::receive()
{
    static thread_local std::array<char, 16 << 10>
        bytes;  // of all connections: emptied before another one's turn
    std::size_t count = 0;
    while ((count = wire_.read(bytes)) == 0)
        co_await wire_.readable();
    received_.append(bytes.data(), count);
}

// What is asked next, or why it is no request.
asio::awaitable<boost::system::error_code> Conversation::read(RawRequest& request)
{
    http::request_parser<http::string_body> parser;
    parser.header_limit(most_header_bytes);
    parser.body_limit(most_body_bytes);
    parser.eager(true);
    boost::system::error_code error;
    place_.waits(idle_limit);
    for (bool begun = false; !parser.is_done();) {
        if (received_.empty() || error == http::error::need_more)
            co_await receive();
        if (!begun)
            place_.waits(request_limit);
        begun = true;
        received_.erase(0, parser.put(asio::buffer(received_), error));
        if (error && error != http::error::need_more)
            break;
    }
    place_.works();
    if (error == http::error::need_more)
        error = {};
    request = parser.release();
    co_return error;
}

asio::awaitable<ApiResponse> Conversation::answer(const RawRequest& request)
{
    const std::string authorization{request[http::field::authorization]};
    auto admission = reception_->door->admit(peer_, authorization, Clock::now());
    if (!admission)
        admission = co_await reception_->door->admit_slowly(peer_, authorization);
    if (!*admission)
        co_return std::move(admission->error());
    auto target = split_target({request.target().data(), request.target().size()});
    if (!target || !reception_->api)
        co_return ApiResponse{target ? 503 : 400, "text/plain",
                              target ? "ending\n" : "malformed request target\n"};
    auto reply = reception_->api->answer(to_api(request, std::move(**admission), std::move(*target)));
    if (const auto later = std::exchange(reply.later, {}))
        co_await later(reply);
    const auto executor = co_await asio::this_coro::executor;
    while (reply.more && reply.more(reply.body))
        co_await asio::post(executor, asio::use_awaitable);
    co_return reply;
}

std::string Conversation::head_of(const ApiResponse& reply, const RawRequest& request) const
{
    const auto reason = http::obsolete_reason(static_cast<http::status>(reply.status));
    auto head =
        fmt::format("HTTP/1.1 {} {}\r\n", reply.status, std::string_view{reason.data(), reason.size()});
    const auto add = [&head](std::string_view name, std::string_view value) {
        head.append(name).append(": ").append(value).append("\r\n");
    };
    const bool bodiless = reply.status == 204 || reply.status == 304;
    if (!bodiless)
        add("Content-Type", reply.content_type);
    if (!bodiless && !reply.events)
        add("Content-Length", std::to_string(reply.body.size()));
    if (!has_header(reply, "Cache-Control"))
        add("Cache-Control", "no-store");
    add("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers)
        add(name, value);
    for (const auto& [name, value] : reception_->door->headers())
        if (name != "X-Content-Type-Options" && !has_header(reply, name))
            add(name, value);
    if (!goes_on_)
        add("Connection", "close");
    else if (request.version() == 10)
        add("Connection", "keep-alive");
    return head.append("\r\n");
}

asio::awaitable<void> Conversation::write(const RawRequest& request, ApiResponse reply)
{
    goes_on_ = goes_on_ && request.keep_alive() && !reply.events && tls_ == reception_->door->tls();
    const auto head = head_of(reply, request);
    const bool head_only = request.method() == http::verb::head;
    place_.waits(write_limit(reply.body.size()));
    co_await wire_.write(head, head_only ? std::string_view{} : reply.body);
    place_.works();
    if (reply.events)
        co_await write_events(std::move(reply.events));
}

// Events as they come, until one of the two sides ends it. Whatever the peer sends now, even its farewell,
// ends it, too.
asio::awaitable<void> Conversation::write_events(std::shared_ptr<EventStream> events)
{
    const struct Farewell {
        EventStream& events;
        ~Farewell() { events.end(); }
    } farewell{*events};
    end_when_heard_from(events);
    for (;;) {
        const auto text = co_await events->next();
        if (text.empty())
            co_return;
        place_.waits(write_limit(text.size()));
        co_await wire_.write(text);
        place_.works();
    }
}

// That the socket is readable may be old news, of the request that was read already: then it is waited for
// again.
void Conversation::end_when_heard_from(std::shared_ptr<EventStream> events)
{
    wire_.socket().async_wait(asio::socket_base::wait_read, [this, events](boost::system::error_code error) {
        if (events->ended())
            return;  // and this conversation may be gone
        char byte = 0;
        const bool nothing = !error &&
                             ::recv(wire_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
                             (errno == EAGAIN || errno == EWOULDBLOCK);
        nothing ? end_when_heard_from(events) : events->end();
    });
}

// What the peer has still to say: closing before would drop the answer on its way to it (RFC 9112 §9.6).
asio::awaitable<void> Conversation::hear_out()
{
    place_.waits(farewell_limit);
    for (std::size_t heard = 0; heard < most_farewell_bytes; heard += received_.size()) {
        received_.clear();
        co_await receive();
    }
}

asio::awaitable<void> Conversation::run()
{
    const bool somebody = co_await greet();
    if (!somebody)
        co_return;
    const auto executor = co_await asio::this_coro::executor;
    bool understood = true;
    while (goes_on_) {
        RawRequest request;
        const auto error = co_await read(request);
        if (!reception_->api)
            co_return;
        auto reply = error ? refused(error) : refused(request);
        understood = !reply;
        goes_on_ = understood;
        if (!reply)
            reply = co_await answer(request);
        co_await write(request, *std::move(reply));
        co_await asio::post(executor,
                            asio::use_awaitable);  // others' turn, however much this peer has sent at once
    }
    wire_.say_goodbye();
    if (!understood)
        co_await hear_out();
}

}  // namespace

asio::awaitable<void> converse(asio::generic::stream_protocol::socket socket, Peer peer,
                               std::shared_ptr<Reception> reception)
{
    try {
        Conversation conversation{std::move(socket), std::move(peer), std::move(reception)};
        co_await conversation.run();
    } catch (const boost::system::system_error&) {  // the peer has gone, or was too slow
    }
}

}  // namespace keepwell
