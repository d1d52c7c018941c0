#include "deploy/app/web.hpp"

#include "deploy/app/page.hpp"
#include "deploy/app/site.hpp"

#include <fmt/format.h>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <deque>
#include <future>
#include <memory>
#include <set>
#include <thread>

// One thread, one event loop, coroutines: WebSockets stay open for hours and must not hold a thread each.
namespace keepwell::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using asio::ip::tcp;
using std::chrono::steady_clock;
using Socket = beast::websocket::stream<beast::tcp_stream>;

constexpr std::chrono::seconds upstream_limit{4};
constexpr std::chrono::seconds request_limit{
    10};  // to send a request, and how long an idle connection is kept
constexpr std::chrono::seconds update_interval{2};
constexpr std::chrono::seconds listener_tick{5};
constexpr std::size_t most_head = 8192;
constexpr std::size_t most_body = std::size_t{64} << 10U;
constexpr std::size_t most_upstream_body = std::size_t{1} << 20U;
constexpr int most_connections = 512;
constexpr auto content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// One WebSocket client: what waits to be sent, and the alarm that wakes its sender.
struct Listener {
    explicit Listener(Socket&& from) : socket{std::move(from)}, news{socket.get_executor()} {}

    void say(std::string text)
    {
        if (waiting.size() < 64)  // one that does not read is not listened to
            waiting.push_back(std::move(text));
        news.cancel();
    }

    Socket socket;
    asio::steady_timer news;
    std::deque<std::string> waiting{};
    bool open = true;
};

class Web {
public:
    Web(const Settings& settings, Metrics& metrics)
        : settings_{settings}, metrics_{metrics}, faults_{settings.faults}, site_{metrics, faults_}
    {
        for (const PageFile& file : page_files())
            site_.add("GET", file.path, [&file](const Request&) {
                return Response{.body = std::string{file.content}, .type = std::string{file.type}};
            });
        site_.add("GET", "/health", [](const Request&) {
            return Response{.body = "{\"status\":\"ok\",\"version\":\"" KEEPWELL_VERSION "\"}\n"};
        });
    }

    int run(const std::function<void()>& wait_for_stop);

private:
    bool listen();
    asio::awaitable<void> accept();
    asio::awaitable<void> serve(beast::tcp_stream stream);
    asio::awaitable<bool> exchange(beast::tcp_stream& stream, beast::flat_buffer& buffer);
    asio::awaitable<Response> answer(const Request& request);
    asio::awaitable<void> misbehave(const Request& request);
    asio::awaitable<Response> pass_on(Request request);
    asio::awaitable<Response> ask_api(Request request);
    asio::awaitable<void> find_api();
    asio::awaitable<void> tell_visits();
    asio::awaitable<void> converse(beast::tcp_stream stream, http::request<http::string_body> upgrade);
    asio::awaitable<void> send_news(std::shared_ptr<Listener> listener);
    void close_all();

    const Settings& settings_;
    Metrics& metrics_;
    Faults faults_;
    Site site_;
    asio::io_context loop_{1};
    tcp::acceptor acceptor_{loop_};
    std::vector<tcp::endpoint> api_{};  // where the API was found last; a name may have several addresses
    std::size_t next_api_ = 0;
    std::set<std::shared_ptr<Listener>> listeners_{};
    std::string news_{};
    int connections_ = 0;
    int answering_ = 0;
    bool stopping_ = false;
};

bool Web::listen()
{
    const auto bind = [this](const std::string& host) -> boost::system::error_code {
        try {
            const auto address = asio::ip::make_address(host);
            const tcp::endpoint endpoint{address, settings_.port};
            acceptor_.open(endpoint.protocol());
            acceptor_.set_option(tcp::acceptor::reuse_address{true});
            if (address.is_v6())
                acceptor_.set_option(asio::ip::v6_only{false});
            acceptor_.bind(endpoint);
            acceptor_.listen();
            return {};
        } catch (const boost::system::system_error& failure) {
            acceptor_.close();
            return failure.code();
        }
    };
    auto error = bind(settings_.host.empty() ? "::" : settings_.host);
    if (error && settings_.host.empty() && error != asio::error::address_in_use)
        error = bind("0.0.0.0");  // no IPv6 here
    if (error)
        log(Level::error,
            fmt::format("cannot listen on {}:{}: {}", settings_.host.empty() ? "*" : settings_.host,
                        settings_.port, error.message()));
    else
        log(Level::info, "listening", {{"port", fmt::to_string(acceptor_.local_endpoint().port())}});
    return !error;
}

asio::awaitable<void> Web::accept()
{
    while (!stopping_) {
        auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(use_awaitable));
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
            co_return;
        if (error) {  // no descriptors left: they come back when connections end
            asio::steady_timer pause{loop_, std::chrono::milliseconds{100}};
            co_await pause.async_wait(asio::as_tuple(use_awaitable));
            continue;
        }
        if (connections_ < most_connections)
            asio::co_spawn(loop_, serve(beast::tcp_stream{std::move(socket)}), asio::detached);
    }
}

asio::awaitable<void> Web::serve(beast::tcp_stream stream)
{
    ++connections_;
    beast::flat_buffer buffer;
    try {
        while (!stopping_) {
            const bool again = co_await exchange(stream, buffer);
            if (!again)
                break;
        }
    } catch (const std::exception& error) {
        log(Level::debug, "connection ended", {{"error", error.what()}});
    }
    --connections_;
}

// Reads one request and answers it; whether the connection is kept.
asio::awaitable<bool> Web::exchange(beast::tcp_stream& stream, beast::flat_buffer& buffer)
{
    http::request_parser<http::string_body> parser;
    parser.header_limit(most_head);
    parser.body_limit(most_body);
    stream.expires_after(request_limit);
    auto [error, bytes] = co_await http::async_read(stream, buffer, parser, asio::as_tuple(use_awaitable));
    if (error == http::error::end_of_stream || error == beast::error::timeout)
        co_return false;
    Response response;
    http::request<http::string_body> request = parser.release();
    if (error) {
        response = problem(error == http::error::body_limit ? 413 : 400, error.message());
    } else {
        const std::string_view target{request.target().data(), request.target().size()};
        if (beast::websocket::is_upgrade(request) && target.substr(0, target.find('?')) == "/ws") {
            stream.expires_never();
            co_await converse(std::move(stream), std::move(request));
            co_return false;
        }
        ++answering_;
        const Request plain{
            .method = request.method_string(), .target = std::string{target}, .body = request.body()};
        stream.expires_never();
        response = co_await answer(plain);
        --answering_;
    }
    http::response<http::string_body> reply{static_cast<http::status>(response.status), request.version()};
    reply.set(http::field::content_type, response.type);
    reply.set("Content-Security-Policy", content_policy);
    reply.set("X-Content-Type-Options", "nosniff");
    reply.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : response.headers)
        reply.set(name, value);
    reply.keep_alive(!error && request.keep_alive() && !stopping_);
    const auto size = response.body.size();
    if (request.method() != http::verb::head)
        reply.body() = std::move(response.body);
    reply.content_length(size);
    stream.expires_after(request_limit);
    if (request.method() == http::verb::head) {
        http::response_serializer<http::string_body> serializer{reply};
        co_await http::async_write_header(stream, serializer, use_awaitable);
    } else {
        co_await http::async_write(stream, reply, use_awaitable);
    }
    co_return reply.keep_alive();
}

asio::awaitable<Response> Web::answer(const Request& request)
{
    if (!site_.is_command(request))
        co_await misbehave(request);
    if (!request.target.starts_with("/api/") || faults_.failing())
        co_return site_.answer(request);
    const auto start = steady_clock::now();
    Response response = co_await pass_on(request);
    const std::chrono::duration<double> seconds = steady_clock::now() - start;
    site_.record(request, "/api", response, seconds.count());
    co_return response;
}

asio::awaitable<void> Web::misbehave(const Request&)
{
    asio::steady_timer timer{loop_};
    if (faults_.delay().count() > 0) {
        timer.expires_after(faults_.delay());
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
    }
    while (faults_.hanging() && !stopping_) {
        timer.expires_after(std::chrono::milliseconds{100});
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
    }
}

asio::awaitable<Response> Web::pass_on(Request request)
{
    std::string error;
    try {
        co_return co_await ask_api(std::move(request));
    } catch (const boost::system::system_error& failure) {
        error = failure.code() == beast::error::timeout ? "no answer in time" : failure.code().message();
    }
    log(Level::warning, "the API does not answer", {{"error", error}});
    co_return problem(502, fmt::format("the API: {}", error));
}

// One request to the API, on a connection of its own, whole within `upstream_limit`. Throws system_error.
asio::awaitable<Response> Web::ask_api(Request request)
{
    if (api_.empty())
        throw boost::system::system_error{asio::error::host_not_found};
    beast::tcp_stream stream{loop_};
    stream.expires_after(upstream_limit);
    const auto endpoint = api_[next_api_++ % api_.size()];
    co_await stream.async_connect(endpoint, use_awaitable);
    http::request<http::string_body> question;
    question.method_string(request.method);
    question.target(request.target);
    question.set(http::field::host, fmt::format("{}:{}", settings_.api_host, settings_.api_port));
    question.set(http::field::content_type, "application/json");
    question.keep_alive(false);
    question.body() = std::move(request.body);
    question.prepare_payload();
    co_await http::async_write(stream, question, use_awaitable);
    http::response_parser<http::string_body> parser;
    parser.header_limit(most_head);
    parser.body_limit(most_upstream_body);
    parser.skip(request.method == "HEAD");
    beast::flat_buffer buffer;
    co_await http::async_read(stream, buffer, parser, use_awaitable);
    const auto& reply = parser.get();
    co_return Response{.status = static_cast<int>(reply.result_int()),
                       .body = reply.body(),
                       .type = reply[http::field::content_type]};
}

// Keeps `api_` as what the name means now. Resolving blocks a thread of Asio's for as long as it takes, never
// a request: those use the addresses found last.
asio::awaitable<void> Web::find_api()
{
    tcp::resolver resolver{loop_};
    asio::steady_timer timer{loop_};
    const std::string port = fmt::to_string(settings_.api_port);
    std::string last_error;
    while (!stopping_) {
        auto [error, found] =
            co_await resolver.async_resolve(settings_.api_host, port, asio::as_tuple(use_awaitable));
        if (!error) {
            api_.clear();
            for (const auto& entry : found)
                api_.push_back(entry.endpoint());
        } else if (error.message() != last_error && !stopping_) {
            log(Level::warning, "the API's name is not found",
                {{"name", settings_.api_host}, {"error", error.message()}});
        }
        last_error = error ? error.message() : "";
        timer.expires_after(update_interval);
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
    }
}

// Asks for the visits while someone listens, once for all of them.
asio::awaitable<void> Web::tell_visits()
{
    asio::steady_timer timer{loop_};
    while (!stopping_) {
        timer.expires_after(update_interval);
        co_await timer.async_wait(asio::as_tuple(use_awaitable));
        if (listeners_.empty() || faults_.hanging())
            continue;
        std::string news;
        try {
            const Response visits = co_await ask_api(Request{.method = "GET", .target = "/api/v1/visits"});
            news = visits.status == 200 ? visits.body : "";
        } catch (const boost::system::system_error&) {
            continue;  // whoever asks over HTTP is told; the number stays what it was
        }
        if (news.empty() || news == news_)
            continue;
        news_ = news;
        for (const auto& listener : listeners_)
            listener->say(news_);
    }
}

asio::awaitable<void> Web::converse(beast::tcp_stream stream, http::request<http::string_body> upgrade)
{
    auto listener = std::make_shared<Listener>(Socket{std::move(stream)});
    auto& socket = listener->socket;
    // Pings a silent client, and closes when nothing comes back.
    socket.set_option(beast::websocket::stream_base::timeout{.handshake_timeout = request_limit,
                                                             .idle_timeout = std::chrono::seconds{60},
                                                             .keep_alive_pings = true});
    socket.read_message_max(4096);
    co_await socket.async_accept(upgrade, use_awaitable);
    listeners_.insert(listener);
    metrics_.open_websockets(static_cast<int>(listeners_.size()));
    if (!news_.empty())
        listener->say(news_);
    asio::co_spawn(loop_, send_news(listener), asio::detached);
    beast::flat_buffer buffer;
    while (true) {
        auto [error, bytes] = co_await socket.async_read(buffer, asio::as_tuple(use_awaitable));
        if (error)
            break;
        listener->say(beast::buffers_to_string(buffer.data()));
        buffer.consume(buffer.size());
    }
    listener->open = false;
    listener->news.cancel();
    listeners_.erase(listener);
    metrics_.open_websockets(static_cast<int>(listeners_.size()));
}

// The only one that writes to this socket, also its close. A peer that was refused for breaking the rules,
// and keeps its end open, is let go at the next tick: the library would wait for it.
asio::awaitable<void> Web::send_news(std::shared_ptr<Listener> listener)
{
    auto& socket = listener->socket;
    while (listener->open && socket.is_open() && !stopping_) {
        if (listener->waiting.empty()) {
            listener->news.expires_after(listener_tick);
            co_await listener->news.async_wait(asio::as_tuple(use_awaitable));
            continue;
        }
        const std::string text = std::move(listener->waiting.front());
        listener->waiting.pop_front();
        auto [error, bytes] = co_await socket.async_write(asio::buffer(text), asio::as_tuple(use_awaitable));
        if (error)
            break;
    }
    if (socket.is_open())
        co_await socket.async_close(beast::websocket::close_code::going_away, asio::as_tuple(use_awaitable));
    if (listener->open)
        beast::get_lowest_layer(socket).close();
}

void Web::close_all()
{
    stopping_ = true;
    acceptor_.close();
    for (const auto& listener : listeners_)
        listener->news.cancel();
}

int Web::run(const std::function<void()>& wait_for_stop)
{
    if (!listen())
        return 1;
    asio::co_spawn(loop_, accept(), asio::detached);
    asio::co_spawn(loop_, find_api(), asio::detached);
    asio::co_spawn(loop_, tell_visits(), asio::detached);
    std::thread thread{[this] { loop_.run(); }};
    wait_for_stop();
    asio::post(loop_, [this] { close_all(); });
    // Requests in flight are finished; idle connections are not waited for.
    const auto deadline = steady_clock::now() + std::chrono::seconds{3};
    bool busy = true;
    while (busy && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
        std::promise<bool> answer;
        asio::post(loop_, [&] { answer.set_value(answering_ > 0 || !listeners_.empty()); });
        busy = answer.get_future().get();
    }
    loop_.stop();
    thread.join();
    log(Level::info, "stopped");
    return 0;
}

}  // namespace

int run_web(const Settings& settings, const std::function<void()>& wait_for_stop)
{
    Metrics metrics{"web", KEEPWELL_VERSION};
    Web web{settings, metrics};
    return web.run(wait_for_stop);
}

}  // namespace keepwell::app
