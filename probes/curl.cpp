#include "probes/curl.hpp"

#include "probes/curl_handle.hpp"
#include "probes/socket_set.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace keepwell {

namespace {

constexpr int most_in_flight = 128;  // per multi handle, which keeps them in lists
constexpr std::size_t kept_shards = 64;
constexpr long most_kept_connections = 100'000;  // curl's own limit is four times what is in flight
constexpr std::size_t most_spare_handles = 256;

class Engine;

}  // namespace

// A multi handle: the transfers and connections that curl looks after together.
struct CurlShard {
    std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi{curl_multi_init(), &curl_multi_cleanup};
    Engine* engine = nullptr;
    std::uint32_t index = 0;
    int in_flight = 0;
    bool urgent = false;  // curl wants to be called at once
    Clock::time_point due = Clock::time_point::max();
};

namespace {

// Kept connections must not be shared by requests that differ in this.
std::string trust_of(const TlsOptions& tls)
{
    std::string all;
    for (const auto* part : {&tls.ca_file, &tls.certificate_file, &tls.key_file, &tls.server_name})
        (all += *part) += '\n';
    return all += tls.insecure ? '1' : '0';
}

// curl on Asio's loop. Transfers that make a connection of their own share the first multi handle with room;
// those that keep theirs have a multi handle by target, because curl looks for a kept connection from end to
// end.
class Engine final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit Engine(asio::execution_context& context);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    std::unique_ptr<CurlHandle> take(const HttpRequest& request);
    void begin(CurlHandle& handle, const HttpRequest& request);  // may already finish it
    void end(std::unique_ptr<CurlHandle> handle);

private:
    void shutdown() noexcept override;
    CurlShard& shard_for(const HttpRequest& request);
    CurlShard& add_shard();
    void handle_events(std::span<const epoll_event> events);
    void handle_time();
    void drive(CurlShard& shard, curl_socket_t fd, int mask);
    void drive_urgent();
    static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void* known);
    static int on_timer(CURLM*, long milliseconds, void* self);

    asio::any_io_executor executor_;
    std::optional<SocketSet> sockets_;
    int in_flight_ = 0;
    std::vector<std::unique_ptr<CurlShard>> shards_{};
    std::vector<CurlShard*> fresh_{};
    std::map<std::string, std::array<CurlShard*, kept_shards>>
        kept_{};  // by how TLS is verified, which curl does not know
    std::vector<CurlShard*> urgent_{};
    std::vector<std::unique_ptr<CurlHandle>> spare_{};
};

Engine::Engine(asio::execution_context& context)
    : service{context}, executor_{static_cast<asio::io_context&>(context).get_executor()}
{
    static const auto initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (initialised != CURLE_OK)
        throw Failure{not_attempted(Reason::internal_error, curl_easy_strerror(initialised))};
    sockets_.emplace(executor_, [this](std::span<const epoll_event> events) { handle_events(events); });
}

// What is still in flight is ended by the destructors of the coroutines that wait for it, after this.
void Engine::shutdown() noexcept
{
    spare_.clear();
    sockets_.reset();
}

std::unique_ptr<CurlHandle> Engine::take(const HttpRequest& request)
{
    if (spare_.empty())
        return std::make_unique<CurlHandle>(executor_);
    // The last of the same kind of request, else any: its options are set anew.
    const auto nearby = std::min<std::ptrdiff_t>(std::ssize(spare_), 8);
    auto chosen = std::find_if(spare_.rbegin(), spare_.rbegin() + nearby,
                               [&](const auto& handle) { return handle->suits(request); });
    if (chosen == spare_.rbegin() + nearby)
        chosen = spare_.rbegin();
    auto handle = std::move(*chosen);
    *chosen = std::move(spare_.back());
    spare_.pop_back();
    return handle;
}

void Engine::begin(CurlHandle& handle, const HttpRequest& request)
{
    auto& shard = shard_for(request);
    if (const auto code = curl_multi_add_handle(shard.multi.get(), handle.easy()); code != CURLM_OK)
        throw Failure{not_attempted(Reason::internal_error, curl_multi_strerror(code))};
    handle.shard = &shard;
    ++shard.in_flight;
    if (in_flight_++ == 0)
        sockets_->start();
    drive_urgent();
}

void Engine::end(std::unique_ptr<CurlHandle> handle)
{
    if (auto* shard = std::exchange(handle->shard, nullptr)) {
        curl_multi_remove_handle(shard->multi.get(), handle->easy());
        --shard->in_flight;
        if (--in_flight_ == 0 && sockets_)
            sockets_->stop();
    }
    if (sockets_ && spare_.size() < most_spare_handles)
        spare_.push_back(std::move(handle));
}

CurlShard& Engine::add_shard()
{
    auto& shard = *shards_.emplace_back(std::make_unique<CurlShard>());
    shard.engine = this;
    shard.index = static_cast<std::uint32_t>(shards_.size() - 1);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_SOCKETFUNCTION, &Engine::on_socket);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_SOCKETDATA, &shard);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_TIMERFUNCTION, &Engine::on_timer);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_TIMERDATA, &shard);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_MAXCONNECTS, most_kept_connections);
    return shard;
}

CurlShard& Engine::shard_for(const HttpRequest& request)
{
    if (request.reuse) {
        const auto target =
            std::hash<std::string>{}(request.url.origin() + request.connect_to + request.unix_socket);
        auto*& shard = kept_[trust_of(request.tls)][target % kept_shards];
        if (!shard)
            shard = &add_shard();
        return *shard;
    }
    for (auto* shard : fresh_)
        if (shard->in_flight < most_in_flight)
            return *shard;
    return *fresh_.emplace_back(&add_shard());
}

void Engine::drive(CurlShard& shard, curl_socket_t fd, int mask)
{
    int running = 0;
    curl_multi_socket_action(shard.multi.get(), fd, mask, &running);
    int left = 0;
    while (const auto* message = curl_multi_info_read(shard.multi.get(), &left)) {
        CurlHandle* handle = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &handle);
        handle->end(message->data.result);
    }
}

// Once each: what is urgent again has to wait for the other sockets.
void Engine::drive_urgent()
{
    for (auto turns = urgent_.size(); turns > 0 && !urgent_.empty(); --turns) {
        auto& shard = *urgent_.back();
        urgent_.pop_back();
        shard.urgent = false;
        drive(shard, CURL_SOCKET_TIMEOUT, 0);
    }
    if (!urgent_.empty())
        sockets_->wake_by(Clock::now());
}

void Engine::handle_events(std::span<const epoll_event> events)
{
    if (events.empty())
        handle_time();
    for (const auto& event : events) {
        int mask = event.events & EPOLLIN ? CURL_CSELECT_IN : 0;
        mask |= event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
        mask |= event.events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
        drive(*shards_[event.data.u64 >> 32], static_cast<curl_socket_t>(event.data.u64 & 0xffffffff), mask);
    }
    drive_urgent();
}

void Engine::handle_time()
{
    const auto now = Clock::now();
    auto next = Clock::time_point::max();
    for (const auto& shard : shards_) {
        if (shard->due <= now) {
            shard->due = Clock::time_point::max();
            drive(*shard, CURL_SOCKET_TIMEOUT, 0);
        }
        next = std::min(next, shard->due);
    }
    if (in_flight_ > 0 && next != Clock::time_point::max())
        sockets_->wake_by(next);
}

int Engine::on_socket(CURL*, curl_socket_t fd, int what, void* self, void* known)
{
    auto& shard = *static_cast<CurlShard*>(self);
    auto& sockets = shard.engine->sockets_;
    if (!sockets)
        return 0;
    const auto events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    const auto tag = std::uint64_t{shard.index} << 32 | static_cast<std::uint32_t>(fd);
    if (what == CURL_POLL_REMOVE) {
        sockets->remove(fd);
    } else if (known) {
        sockets->change(fd, events, tag);
    } else {
        sockets->add(fd, events, tag);
        curl_multi_assign(shard.multi.get(), fd, &shard);
    }
    return 0;
}

int Engine::on_timer(CURLM*, long milliseconds, void* self)
{
    auto& shard = *static_cast<CurlShard*>(self);
    auto& engine = *shard.engine;
    if (milliseconds < 0) {
        shard.due = Clock::time_point::max();
    } else if (milliseconds > 0) {
        shard.due = Clock::now() + std::chrono::milliseconds{milliseconds};
        if (engine.sockets_)
            engine.sockets_->wake_by(shard.due);
    } else if (!shard.urgent) {
        shard.urgent = true;
        engine.urgent_.push_back(&shard);
    }
    return 0;
}

// One transfer, which leaves the engine whatever happens to the coroutine that awaits it.
struct Flight {
    Flight(Engine& its_engine, const HttpRequest& request) : engine{its_engine}, handle{engine.take(request)}
    {
    }
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;
    ~Flight() { engine.end(std::move(handle)); }

    Engine& engine;
    std::unique_ptr<CurlHandle> handle;
};

}  // namespace

asio::awaitable<void> exchange(const HttpRequest& request, Way way, Progress& progress, HttpReply& reply)
{
    const auto executor = co_await asio::this_coro::executor;
    auto& engine = asio::use_service<Engine>(asio::query(executor, asio::execution::context));
    Flight flight{engine, request};
    auto& handle = *flight.handle;
    handle.prepare(request, way, progress, reply);

    progress.enter(Phase::connect);
    engine.begin(handle, request);
    if (!handle.has_ended())
        co_await handle.wait();
    if (!handle.has_ended())
        throw boost::system::system_error{asio::error::operation_aborted};
    handle.complete(reply);
}

std::string absolute_url(const Url& base, const std::string& location)
{
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url{curl_url(), &curl_url_cleanup};
    constexpr unsigned lenient = CURLU_NON_SUPPORT_SCHEME | CURLU_ALLOW_SPACE | CURLU_PATH_AS_IS;
    char* text = nullptr;
    if (curl_url_set(url.get(), CURLUPART_URL, base.whole().c_str(), lenient) != CURLUE_OK ||
        curl_url_set(url.get(), CURLUPART_URL, location.c_str(), lenient) != CURLUE_OK ||
        curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK)
        return location;
    const std::unique_ptr<char, decltype(&curl_free)> owner{text, &curl_free};
    return text;
}

}  // namespace keepwell
