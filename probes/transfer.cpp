#include "probes/transfer.hpp"

#include "probes/resolver.hpp"
#include "probes/runner.hpp"
#include "probes/socket_set.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

namespace keepwell {

namespace {

constexpr std::size_t most_header_bytes = 256 * 1024;
constexpr long read_buffer_bytes = 4096;  // per transfer in flight: thousands of stalled ones must fit
constexpr int most_in_flight = 128;       // per multi handle, whose caches are searched from end to end
constexpr std::size_t kept_shards = 64;
constexpr long most_kept_connections = 100'000;  // curl's own limit is four times what is in flight
constexpr std::size_t most_spare_handles = 256;

class Engine;
struct Shard;

// Everything that is set on an easy handle but where it goes.
auto settings(const HttpRequest& request)
{
    const auto& r = request;
    return std::tie(r.method, r.headers, r.body, r.username, r.password, r.bearer_token, r.tls, r.version,
                    r.unix_socket, r.reuse, r.max_body, r.keep_body, r.keep_headers);
}

// An easy handle of curl's, what is set on it, and the transfer it makes just now. Handles are used again,
// because making one and setting its options costs as much CPU as the rest of what curl does for a transfer.
struct Handle {
    explicit Handle(const asio::any_io_executor& executor);
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    bool suits(const HttpRequest& request) const;
    void prepare(const HttpRequest& request, const asio::ip::address* address, long connect_ms);
    Verdict failure() const;
    void describe();  // fills the reply with what curl knows of it

    CURL* curl() const { return easy.get(); }
    template <class Value>
    void set(CURLoption option, Value value);
    template <class Value>
    Value info(CURLINFO which) const;

    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), &curl_easy_cleanup};
    std::optional<HttpRequest> options{};  // what is set; curl points into it
    std::vector<std::string> header_lines{};
    std::vector<curl_slist> header_list{};
    std::string url{};
    std::string route{};
    curl_slist route_list{};
    long connect_limit = 0;

    Shard* shard = nullptr;
    Progress* progress = nullptr;
    HttpReply* reply = nullptr;
    asio::steady_timer finished;  // never expires: cancelled when the transfer has ended
    bool done = false;
    CURLcode code = CURLE_OK;
    std::size_t header_bytes = 0;
    bool in_headers = false;
    int socket_error = 0;
    std::array<char, CURL_ERROR_SIZE> words{};

private:
    void set_all(const HttpRequest& request);
    void set_constants();
    void set_method();
    void set_headers();
    void set_credentials();
    void set_tls();
};

// A multi handle: the transfers and connections that curl looks after together.
struct Shard {
    std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi{curl_multi_init(), &curl_multi_cleanup};
    Engine* engine = nullptr;
    std::uint32_t index = 0;
    int in_flight = 0;
    bool urgent = false;  // curl wants to be called at once
    Clock::time_point due = Clock::time_point::max();
};

bool same_name(std::string_view a, std::string_view b)
{
    return std::ranges::equal(
        a, b, {}, [](unsigned char c) { return std::tolower(c); },
        [](unsigned char c) { return std::tolower(c); });
}

Address target_of(const HttpRequest& request)
{
    auto target = request.url.address();
    if (request.connect_to.empty())
        return target;
    if (auto other = Address::parse(request.connect_to))
        return *std::move(other);
    target.pinned.clear();
    target.host = request.connect_to;
    return target;
}

std::string endpoint_text(const asio::ip::address& address, std::uint16_t port)
{
    return (address.is_v6() ? "[" + address.to_string() + "]" : address.to_string()) + ":" +
           std::to_string(port);
}

Verdict certificate_verdict(long verify_result, const std::string& detail)
{
    constexpr long not_yet_valid = 9, has_expired = 10, hostname_mismatch = 62;  // X509_V_ERR_...
    if (verify_result == not_yet_valid || verify_result == has_expired)
        return rejected(Reason::certificate_expired, detail);
    if (verify_result == 0 || verify_result == hostname_mismatch)
        return rejected(Reason::certificate_name_mismatch, detail);
    return rejected(Reason::certificate_untrusted, detail);
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self)
{
    auto& handle = *static_cast<Handle*>(self);
    auto& reply = *handle.reply;
    const std::uint64_t got = size * count;
    const auto wanted = std::min(got, handle.options->max_body - reply.body_bytes);
    if (reply.body.size() < handle.options->keep_body)
        reply.body.append(data, std::min(wanted, handle.options->keep_body - reply.body.size()));
    reply.body_bytes += wanted;
    reply.body_cut = wanted < got;
    return wanted;
}

void keep_header(HttpReply& reply, std::string_view line)
{
    const auto colon = line.find(':');
    if (colon == line.npos)
        return;
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
    reply.headers.push_back({std::string{line.substr(0, colon)}, std::string{value}});
}

// Called with each line of the headers, of "100 Continue" as of the answer, and of trailers.
std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self)
{
    auto& handle = *static_cast<Handle*>(self);
    const std::string_view line{data, size * count};
    if (handle.header_bytes == 0)
        handle.progress->enter(Phase::reply);
    handle.header_bytes += line.size();
    if (handle.header_bytes > most_header_bytes)
        return 0;
    if (line.starts_with("HTTP/")) {
        handle.in_headers = true;
        handle.reply->headers.clear();
    } else if (line == "\r\n" || line == "\n") {
        handle.in_headers = false;
    } else if (handle.options->keep_headers) {
        keep_header(*handle.reply, line);
    }
    return line.size();
}

// Connections that are not kept are reset when they are closed, see Stream.
curl_socket_t on_open(void* self, curlsocktype, curl_sockaddr* address)
{
    auto& handle = *static_cast<Handle*>(self);
    const int fd =
        ::socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    handle.socket_error = fd < 0 ? errno : 0;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    const linger reset{.l_onoff = 1, .l_linger = 0};
    if (!handle.options->reuse)
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return fd;
}

CURLcode on_tls(CURL*, void*, void* self)
{
    static_cast<Handle*>(self)->progress->enter(Phase::tls);
    return CURLE_OK;
}

int on_request(void* self, char*, char*, int, int)
{
    static_cast<Handle*>(self)->progress->enter(Phase::request);
    return CURL_PREREQFUNC_OK;
}

Handle::Handle(const asio::any_io_executor& executor) : finished{executor, Clock::time_point::max()}
{
    if (!easy)
        throw std::bad_alloc{};
}

template <class Value>
void Handle::set(CURLoption option, Value value)
{
    if (const auto result = curl_easy_setopt(curl(), option, value); result != CURLE_OK)
        throw Failure{not_attempted(Reason::bad_configuration, curl_easy_strerror(result))};
}

template <class Value>
Value Handle::info(CURLINFO which) const
{
    Value value{};
    curl_easy_getinfo(curl(), which, &value);
    return value;
}

bool Handle::suits(const HttpRequest& request) const
{
    return options && settings(*options) == settings(request) &&
           (request.tls.server_name.empty() || options->url == request.url);
}

void Handle::prepare(const HttpRequest& request, const asio::ip::address* address, long connect_ms)
{
    if (!suits(request))
        set_all(request);
    options->url = request.url;
    options->connect_to = request.connect_to;

    const auto& name = request.tls.server_name;
    auto wanted = name.empty() ? request.url.whole() : request.url.with_host(name).whole();
    if (wanted != url)
        set(CURLOPT_URL, (url = std::move(wanted)).c_str());
    auto way = address ? "::" + endpoint_text(*address, target_of(request).port) : std::string{};
    if (way != route) {
        route = std::move(way);
        route_list.data = route.data();
        set(CURLOPT_CONNECT_TO, route.empty() ? nullptr : &route_list);
    }
    if (connect_ms != connect_limit)
        set(CURLOPT_CONNECTTIMEOUT_MS, connect_limit = connect_ms);

    done = false;
    header_bytes = 0;
    in_headers = false;
    socket_error = 0;
    words[0] = '\0';
}

void Handle::set_all(const HttpRequest& request)
{
    curl_easy_reset(curl());
    url.clear();
    route.clear();
    connect_limit = 0;
    options.reset();
    options = request;
    try {
        set_constants();
        set_method();
        set_headers();
        set_credentials();
        set_tls();
    } catch (...) {
        options.reset();
        throw;
    }
}

void Handle::set_constants()
{
    set(CURLOPT_PRIVATE, this);
    set(CURLOPT_ERRORBUFFER, words.data());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_BUFFERSIZE, read_buffer_bytes);
    set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);  // we resolve; curl walks its whole cache after each transfer
    set(CURLOPT_FRESH_CONNECT, options->reuse ? 0L : 1L);
    set(CURLOPT_FORBID_REUSE, options->reuse ? 0L : 1L);
    if (!options->unix_socket.empty())
        set(CURLOPT_UNIX_SOCKET_PATH, options->unix_socket.c_str());
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_OPENSOCKETFUNCTION, &on_open);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_PREREQFUNCTION, &on_request);
    set(CURLOPT_PREREQDATA, this);
}

void Handle::set_method()
{
    const auto& method = options->method;
    if (!options->body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(options->body.size()));
        set(CURLOPT_POSTFIELDS, options->body.c_str());
    } else if (method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    }
    if (method != "GET" || !options->body.empty())
        set(CURLOPT_CUSTOMREQUEST, method.c_str());
    constexpr std::array versions{CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_0};
    auto version = versions[static_cast<std::size_t>(options->version)];
    if (version == CURL_HTTP_VERSION_2_0 && !options->url.secure())
        version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    set(CURLOPT_HTTP_VERSION, static_cast<long>(version));
}

// curl adds headers of its own unless they are given; `Name:` takes one away, `Name;` sends one without a
// value.
void Handle::set_headers()
{
    const auto given = [&](std::string_view name) {
        return std::ranges::any_of(options->headers,
                                   [&](const auto& header) { return same_name(header.name, name); });
    };
    header_lines.clear();
    for (const auto& [name, value] : options->headers)
        header_lines.push_back(value.empty() ? name + ";" : name + ": " + value);
    if (!given("User-Agent"))
        header_lines.push_back("User-Agent: keepwell");
    if (!given("Host") && !options->tls.server_name.empty())
        header_lines.push_back("Host: " + options->url.authority());
    if (!options->body.empty()) {
        header_lines.push_back("Expect:");
        if (!given("Content-Type"))
            header_lines.push_back("Content-Type:");
    }
    header_list.assign(header_lines.size(), {});
    for (std::size_t i = 0; i < header_lines.size(); ++i)
        header_list[i] = {header_lines[i].data(),
                          i + 1 < header_lines.size() ? &header_list[i + 1] : nullptr};
    set(CURLOPT_HTTPHEADER, header_list.data());
}

void Handle::set_credentials()
{
    if (!options->bearer_token.empty()) {
        set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
        set(CURLOPT_XOAUTH2_BEARER, options->bearer_token.reveal().c_str());
    } else if (!options->username.empty() || !options->password.empty()) {
        set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
        set(CURLOPT_USERNAME, options->username.c_str());
        set(CURLOPT_PASSWORD, options->password.reveal().c_str());
    }
}

// No session is resumed: that would skip the verification, and an expired certificate would go unnoticed.
void Handle::set_tls()
{
    const auto& tls = options->tls;
    set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    set(CURLOPT_SSL_CTX_FUNCTION, &on_tls);
    set(CURLOPT_SSL_CTX_DATA, this);
    set(CURLOPT_CAPATH, nullptr);
    if (!tls.ca_file.empty())
        set(CURLOPT_CAINFO, tls.ca_file.c_str());
    if (tls.insecure) {
        set(CURLOPT_SSL_VERIFYPEER, 0L);
        set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!tls.certificate_file.empty())
        set(CURLOPT_SSLCERT, tls.certificate_file.c_str());
    if (!tls.key_file.empty())
        set(CURLOPT_SSLKEY, tls.key_file.c_str());
}

void Handle::describe()
{
    reply->status = static_cast<int>(info<long>(CURLINFO_RESPONSE_CODE));
    const auto version = info<long>(CURLINFO_HTTP_VERSION);
    reply->version = version == CURL_HTTP_VERSION_1_0 ? 1.0 : version == CURL_HTTP_VERSION_1_1 ? 1.1 : 2;
    if (const auto* location = info<char*>(CURLINFO_REDIRECT_URL))
        reply->redirect = location;
}

// What a failed transfer says about the target.
Verdict Handle::failure() const
{
    const std::string detail = words[0] ? words.data() : curl_easy_strerror(code);
    const auto says = [&](std::string_view what) { return detail.contains(what); };
    if (socket_error)
        return verdict_of({socket_error, boost::system::system_category()});
    const auto system_error = static_cast<int>(info<long>(CURLINFO_OS_ERRNO));
    switch (code) {
        case CURLE_COULDNT_CONNECT:
            if (system_error == ENOENT)
                return no_response(Reason::connection_refused, "there is no socket " + options->unix_socket);
            return verdict_of({system_error, boost::system::system_category()});
        case CURLE_OPERATION_TIMEDOUT: return no_response(Reason::timeout, detail);
        case CURLE_GOT_NOTHING:
            return no_response(Reason::connection_closed, "the peer closed the connection");
        case CURLE_PARTIAL_FILE:
            return no_response(Reason::connection_closed,
                               "the peer closed the connection within the body, after " +
                                   std::to_string(reply->body_bytes) + " bytes");
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
            if (says("ailure"))  // "Recv failure", "Send failure": the system's error, not curl's
                return verdict_of({system_error, boost::system::system_category()});
            if (says("SSL"))
                return rejected(Reason::tls_failure, detail);
            return rejected(Reason::protocol_error, detail);
        case CURLE_WRITE_ERROR:
        case CURLE_OUT_OF_MEMORY:  // also a single header of more than 100 KiB
            if (progress->phase() == Phase::reply)
                return rejected(Reason::reply_too_large, "the headers are larger than 256 KiB");
            return not_attempted(Reason::resource_exhausted, "out of memory");
        case CURLE_SSL_CONNECT_ERROR:
            if (says("reset by peer"))
                return no_response(Reason::connection_reset, "connection reset by peer");
            if (says("unexpected eof") || says("SSL_ERROR_SYSCALL"))
                return no_response(Reason::connection_closed, "the peer closed the connection");
            return rejected(Reason::tls_failure, detail);
        case CURLE_PEER_FAILED_VERIFICATION:
            return certificate_verdict(info<long>(CURLINFO_SSL_VERIFYRESULT), detail);
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_URL_MALFORMAT:
        case CURLE_COULDNT_RESOLVE_HOST: return not_attempted(Reason::bad_configuration, detail);
        default: return rejected(Reason::protocol_error, detail);
    }
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

    std::unique_ptr<Handle> take(const HttpRequest& request);
    void begin(Handle& handle);  // may already finish it
    void end(std::unique_ptr<Handle> handle);

private:
    void shutdown() noexcept override;
    Shard& shard_for(const HttpRequest& request);
    Shard& add_shard();
    void handle_events(std::span<const epoll_event> events);
    void handle_time();
    void drive(Shard& shard, curl_socket_t fd, int mask);
    void drive_urgent();
    static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void* known);
    static int on_timer(CURLM*, long milliseconds, void* self);

    asio::any_io_executor executor_;
    std::optional<SocketSet> sockets_;
    int in_flight_ = 0;
    std::vector<std::unique_ptr<Shard>> shards_{};
    std::vector<Shard*> fresh_{};
    std::map<std::string, std::array<Shard*, kept_shards>> kept_{};  // by ca_file: curl must not mix them up
    std::vector<Shard*> urgent_{};
    std::vector<std::unique_ptr<Handle>> spare_{};
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

std::unique_ptr<Handle> Engine::take(const HttpRequest& request)
{
    if (spare_.empty())
        return std::make_unique<Handle>(executor_);
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

void Engine::begin(Handle& handle)
{
    auto& shard = shard_for(*handle.options);
    if (const auto code = curl_multi_add_handle(shard.multi.get(), handle.curl()); code != CURLM_OK)
        throw Failure{not_attempted(Reason::internal_error, curl_multi_strerror(code))};
    handle.shard = &shard;
    ++shard.in_flight;
    if (in_flight_++ == 0)
        sockets_->start();
    drive_urgent();
}

void Engine::end(std::unique_ptr<Handle> handle)
{
    if (auto* shard = std::exchange(handle->shard, nullptr)) {
        curl_multi_remove_handle(shard->multi.get(), handle->curl());
        --shard->in_flight;
        if (--in_flight_ == 0 && sockets_)
            sockets_->stop();
    }
    if (sockets_ && spare_.size() < most_spare_handles)
        spare_.push_back(std::move(handle));
}

Shard& Engine::add_shard()
{
    auto& shard = *shards_.emplace_back(std::make_unique<Shard>());
    shard.engine = this;
    shard.index = static_cast<std::uint32_t>(shards_.size() - 1);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_SOCKETFUNCTION, &Engine::on_socket);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_SOCKETDATA, &shard);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_TIMERFUNCTION, &Engine::on_timer);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_TIMERDATA, &shard);
    curl_multi_setopt(shard.multi.get(), CURLMOPT_MAXCONNECTS, most_kept_connections);
    return shard;
}

Shard& Engine::shard_for(const HttpRequest& request)
{
    if (request.reuse) {
        const auto target =
            std::hash<std::string>{}(request.url.origin() + request.connect_to + request.unix_socket);
        auto*& shard = kept_[request.tls.ca_file][target % kept_shards];
        if (!shard)
            shard = &add_shard();
        return *shard;
    }
    for (auto* shard : fresh_)
        if (shard->in_flight < most_in_flight)
            return *shard;
    return *fresh_.emplace_back(&add_shard());
}

void Engine::drive(Shard& shard, curl_socket_t fd, int mask)
{
    int running = 0;
    curl_multi_socket_action(shard.multi.get(), fd, mask, &running);
    int left = 0;
    while (const auto* message = curl_multi_info_read(shard.multi.get(), &left)) {
        Handle* handle = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &handle);
        handle->code = message->data.result;
        handle->done = true;
        handle->finished.cancel();
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
    auto& shard = *static_cast<Shard*>(self);
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
    auto& shard = *static_cast<Shard*>(self);
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
    std::unique_ptr<Handle> handle;
};

asio::awaitable<HttpReply> exchange(const HttpRequest& request, const asio::ip::address* address,
                                    long connect_ms, Progress& progress)
{
    const auto executor = co_await asio::this_coro::executor;
    auto& engine = asio::use_service<Engine>(asio::query(executor, asio::execution::context));
    HttpReply reply;
    Flight flight{engine, request};
    auto& handle = *flight.handle;
    handle.progress = &progress;
    handle.reply = &reply;
    handle.prepare(request, address, connect_ms);

    progress.enter(Phase::connect);
    engine.begin(handle);
    if (!handle.done)
        co_await handle.finished.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!handle.done)
        throw boost::system::system_error{asio::error::operation_aborted};
    if (handle.code != CURLE_OK && !(handle.code == CURLE_WRITE_ERROR && reply.body_cut))
        throw Failure{handle.failure()};
    if (handle.in_headers)  // which curl takes for an answer
        throw Failure{
            no_response(Reason::connection_closed, "the peer closed the connection within the headers")};
    handle.describe();
    co_return reply;
}

// How long the next of so many addresses may take to connect, so that one that drops packets leaves time for
// the rest.
long share_of_time(const Progress& progress, std::size_t addresses_left)
{
    if (addresses_left <= 1 || progress.deadline() == Clock::time_point::max())
        return 0;
    const auto left = progress.deadline() - Clock::now();
    return std::max(
        1L, static_cast<long>(left / std::chrono::milliseconds{1}) / static_cast<long>(addresses_left));
}

}  // namespace

asio::awaitable<HttpReply> transfer(const HttpRequest& request, Progress& progress)
{
    if (!request.unix_socket.empty())
        co_return co_await exchange(request, nullptr, 0, progress);
    const auto target = target_of(request);
    const auto addresses = co_await resolve(target, progress);
    for (std::size_t i = 0;; ++i) {
        const auto left = addresses.size() - i;
        try {
            co_return co_await exchange(request, &addresses[i], share_of_time(progress, left), progress);
        } catch (const Failure& failure) {
            const bool try_next = left > 1 && failure.verdict.outcome == Outcome::no_response &&
                                  progress.phase() == Phase::connect;
            if (!try_next)
                throw;
        }
    }
}

}  // namespace keepwell
