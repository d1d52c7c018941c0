#include "deploy/app/http.hpp"

#include "deploy/app/settings.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <thread>

namespace keepwell::app {
namespace {

constexpr std::size_t threads = 32;
constexpr std::uint64_t most_hanging = 24;  // the rest is left to hear the command that ends the hang
constexpr std::size_t longest_target = 2048;

// Where requests wait while the process is told to hang or to be slow. When too many hang, the one that came
// first is let go: its client has given up long ago.
class WaitingRoom {
public:
    explicit WaitingRoom(const Faults& faults) : faults_{faults} {}

    void wait()
    {
        std::unique_lock lock{mutex_};
        const auto ticket = ++last_ticket_;
        const auto may_go = [&] {
            return closed_ || !faults_.hanging() || ticket + most_hanging <= last_ticket_;
        };
        while (!may_go())
            changed_.wait_for(lock, std::chrono::milliseconds{100});
        if (faults_.delay().count() > 0)
            changed_.wait_for(lock, faults_.delay(), [this] { return closed_; });
    }

    void close()
    {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        changed_.notify_all();
    }

private:
    const Faults& faults_;
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::uint64_t last_ticket_ = 0;
    bool closed_ = false;
};

}  // namespace

struct HttpServer::Server {
    Server(const Site& our_site, const Faults& faults) : site{our_site}, room{faults} {}

    void answer(const httplib::Request& from, httplib::Response& to)
    {
        const Request request{.method = from.method, .target = from.target, .body = from.body};
        if (!site.is_command(request))
            room.wait();
        const Response response = site.answer(request);
        to.status = response.status;
        for (const auto& [name, value] : response.headers)
            to.set_header(name, value);
        to.set_content(response.body, response.type);
    }

    void configure()
    {
        http.new_task_queue = [] { return new httplib::ThreadPool(threads); };
        // Without this, the library shares the port with whoever listens on it already.
        http.set_socket_options([](socket_t socket) {
            const int on = 1;
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        });
        http.set_keep_alive_timeout(2);  // also how long an idle connection may delay the stop
        http.set_read_timeout(5, 0);
        http.set_write_timeout(5, 0);
        http.set_payload_max_length(std::size_t{64} << 10U);
        // Long paths are refused before the library's regular expressions see them: those recurse per
        // character.
        http.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
            if (request.target.size() <= longest_target)
                return httplib::Server::HandlerResponse::Unhandled;
            response.status = 414;
            return httplib::Server::HandlerResponse::Handled;
        });
        const auto handler = [this](const httplib::Request& from, httplib::Response& to) {
            answer(from, to);
        };
        http.Get(".*", handler)
            .Post(".*", handler)
            .Put(".*", handler)
            .Patch(".*", handler)
            .Delete(".*", handler);
        http.Options(".*", handler);
    }

    const Site& site;
    WaitingRoom room;
    httplib::Server http{};
    std::thread thread{};
};

HttpServer::HttpServer(const Site& site, Faults& faults) : server_{std::make_unique<Server>(site, faults)}
{
    server_->configure();
}

HttpServer::~HttpServer() { stop(); }

Result<int> HttpServer::start(const std::string& host, std::uint16_t port)
{
    auto& http = server_->http;
    const auto bind = [&](const std::string& address) {
        errno = 0;
        if (port == 0)
            return http.bind_to_any_port(address);
        return http.bind_to_port(address, port) ? int{port} : -1;
    };
    int bound = bind(host.empty() ? "::" : host);
    if (bound < 0 && host.empty() && errno != EADDRINUSE)
        bound = bind("0.0.0.0");  // no IPv6 here
    if (bound < 0)
        return std::unexpected(fmt::format("cannot listen on {}:{}: {}", host.empty() ? "*" : host, port,
                                           errno == 0 ? "no such address" : std::strerror(errno)));
    server_->thread = std::thread{[&http] { http.listen_after_bind(); }};
    while (!http.is_running())
        std::this_thread::yield();
    return bound;
}

void HttpServer::stop()
{
    if (!server_->thread.joinable())
        return;
    server_->room.close();
    server_->http.stop();
    server_->thread.join();
}

Result<bool> http_post(const std::string& url_text, std::chrono::milliseconds limit)
{
    const auto url = parse_url(url_text);
    if (!url)
        return std::unexpected(url.error());
    httplib::Client client{url->host, url->port.value_or(80)};
    client.set_connection_timeout(limit);
    client.set_read_timeout(limit);
    client.set_write_timeout(limit);
    const auto response = client.Post(url->path.empty() ? "/" : url->path);
    if (!response)
        return std::unexpected(httplib::to_string(response.error()));
    if (response->status / 100 != 2)
        return std::unexpected(fmt::format("the answer is {}", response->status));
    return true;
}

}  // namespace keepwell::app
