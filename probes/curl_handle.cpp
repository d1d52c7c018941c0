#include "probes/curl_handle.hpp"

#include "probes/reply_reader.hpp"
#include "probes/runner.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <tuple>
#include <vector>

namespace keepwell {

namespace {

constexpr int curle_too_large = 100;      // CURLE_TOO_LARGE, since curl 8.6
constexpr long read_buffer_bytes = 4096;  // for each transfer in flight: thousands of stalled ones must fit

// All settings of a handle but its target.
auto settings(const HttpRequest& request)
{
    const auto& r = request;
    return std::tie(r.method, r.headers, r.body, r.username, r.password, r.bearer_token, r.tls, r.version,
                    r.unix_socket, r.proxy, r.coding, r.reuse, r.max_body, r.keep_body, r.keep_headers);
}

// `::HOST:PORT`: whatever host and port the URL has, connect to these (CURLOPT_CONNECT_TO(3)).
std::string route_to(const Way& way)
{
    if (!way.endpoint)
        return {};
    const auto address = way.endpoint->address();
    const auto host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
    return "::" + host + ":" + std::to_string(way.endpoint->port());
}

}  // namespace

struct CurlHandle::State {
    explicit State(const asio::any_io_executor& executor) : finished{executor, Clock::time_point::max()} {}

    void set_all(const HttpRequest& request);
    void set_constants();
    void set_callbacks();
    void set_method();
    void set_headers();
    void set_credentials();
    Verdict failure() const;
    void note_head() const;

    template <class Value>
    void set(CURLoption option, Value value)
    {
        if (const auto result = curl_easy_setopt(easy.get(), option, value); result != CURLE_OK)
            throw Failure{not_attempted(Reason::bad_configuration, curl_easy_strerror(result))};
    }
    template <class Value>
    Value info(CURLINFO which) const
    {
        Value value{};
        curl_easy_getinfo(easy.get(), which, &value);
        return value;
    }

    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), &curl_easy_cleanup};
    std::optional<HttpRequest> request{};  // what is set; curl points into it
    std::vector<std::string> header_lines{};
    std::vector<curl_slist> header_list{};
    std::string url{};
    std::string route{};
    curl_slist route_list{};
    std::chrono::milliseconds connect_limit{0};

    Progress* progress = nullptr;
    HttpReply* reply = nullptr;
    ReplyReader reader{};
    asio::steady_timer finished;  // never expires: cancelled when the transfer has ended
    bool ended = false;
    CURLcode code = CURLE_OK;
    int socket_error = 0;
    std::optional<Verdict> verdict{};  // when it was us who ended it
    std::array<char, CURL_ERROR_SIZE> words{};
};

namespace {

// ---- what curl calls; nothing may be thrown through it ----

using State = CurlHandle::State;

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self)
{
    return static_cast<State*>(self)->reader.body({data, size * count});
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self)
{
    auto& state = *static_cast<State*>(self);
    if (state.reader.empty())
        state.progress->enter(Phase::reply);
    if (!state.reader.line({data, size * count}))
        return 0;
    if (state.reply->has_head)
        state.note_head();
    return size * count;
}

// Connections that are not kept are reset when they are closed, see Stream.
curl_socket_t on_open(void* self, curlsocktype, curl_sockaddr* address)
{
    auto& state = *static_cast<State*>(self);
    const int fd =
        ::socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0) {
        state.socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    const linger reset{.l_onoff = 1, .l_linger = 0};
    if (!state.request->reuse)
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return fd;
}

// Connected, before the TLS handshake. The certificate is not judged by curl but by tls.cpp, as everywhere.
CURLcode on_tls(CURL*, void* context, void* self)
{
    auto& state = *static_cast<State*>(self);
    state.progress->enter(Phase::tls);
    try {
        set_up_tls(context, state.request->tls, state.request->url.address().host);
    } catch (const Failure& failure) {
        state.verdict = failure.verdict;
    }
    return state.verdict ? CURLE_ABORTED_BY_CALLBACK : CURLE_OK;
}

// Connected and under TLS, before anything is sent; also when a kept connection is used.
int on_request(void* self, char*, char*, int, int)
{
    auto& state = *static_cast<State*>(self);
    const auto& request = *state.request;
    try {
        const auto* tls =
            request.url.secure() ? state.info<curl_tlssessioninfo*>(CURLINFO_TLS_SSL_PTR) : nullptr;
        if (tls)
            state.reply->tls =
                judge_tls(tls->internals, request.tls, request.url.address().host, *state.progress);
    } catch (const Failure& failure) {
        state.verdict = failure.verdict;
    }
    if (state.verdict)
        return CURL_PREREQFUNC_ABORT;
    state.progress->enter(Phase::request);
    return CURL_PREREQFUNC_OK;
}

}  // namespace

// ---- settings ----

void CurlHandle::State::set_all(const HttpRequest& wanted)
{
    curl_easy_reset(easy.get());
    url.clear();
    route.clear();
    connect_limit = {};
    request = wanted;
    try {
        set_constants();
        set_callbacks();
        set_method();
        set_headers();
        set_credentials();
    } catch (...) {
        request.reset();
        throw;
    }
}

void CurlHandle::State::set_constants()
{
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROXY, request->proxy.c_str());
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // a proxy's words are no answer
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_BUFFERSIZE, read_buffer_bytes);
    set(CURLOPT_DNS_CACHE_TIMEOUT, 0L);  // we resolve; curl walks its whole cache after each transfer
    set(CURLOPT_FRESH_CONNECT, request->reuse ? 0L : 1L);
    set(CURLOPT_FORBID_REUSE, request->reuse ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYPEER, 0L);  // by us, see on_request()
    set(CURLOPT_SSL_VERIFYHOST, 0L);
    set(CURLOPT_SSL_SESSIONID_CACHE,
        0L);  // a resumed session shows no certificate, so it would not be judged
    if (!request->coding.empty())
        set(CURLOPT_ACCEPT_ENCODING, request->coding.c_str());
    if (!request->unix_socket.empty())
        set(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket.c_str());
}

void CurlHandle::State::set_callbacks()
{
    set(CURLOPT_ERRORBUFFER, words.data());
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_OPENSOCKETFUNCTION, &on_open);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_SSL_CTX_FUNCTION, &on_tls);
    set(CURLOPT_SSL_CTX_DATA, this);
    set(CURLOPT_PREREQFUNCTION, &on_request);
    set(CURLOPT_PREREQDATA, this);
}

void CurlHandle::State::set_method()
{
    const auto& [method, body] = std::tie(request->method, request->body);
    if (!body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        set(CURLOPT_POSTFIELDS, body.c_str());
    } else if (method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    }
    if (method != "GET" || !body.empty())
        set(CURLOPT_CUSTOMREQUEST, method.c_str());
    constexpr std::array versions{CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_0};
    auto version = versions[static_cast<std::size_t>(request->version)];
    if (version == CURL_HTTP_VERSION_2_0 && !request->url.secure())
        version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    set(CURLOPT_HTTP_VERSION, static_cast<long>(version));
}

// curl adds headers of its own unless they are given; `Name:` takes one away, `Name;` sends one without a
// value.
void CurlHandle::State::set_headers()
{
    header_lines.clear();
    for (const auto& [name, value] : request->headers)
        header_lines.push_back(value.empty() ? name + ";" : name + ": " + value);
    const auto otherwise = [&](std::string_view name, const std::string& line) {
        if (std::ranges::none_of(request->headers,
                                 [&](const auto& given) { return same_name(given.name, name); }))
            header_lines.push_back(line);
    };
    otherwise("User-Agent", "User-Agent: keepwell");
    if (!request->tls.server_name.empty())
        otherwise("Host", "Host: " + request->url.authority());
    if (!request->body.empty()) {
        otherwise("Content-Type", "Content-Type:");
        header_lines.push_back("Expect:");
    }
    header_list.assign(header_lines.size(), {});
    for (std::size_t i = 0; i < header_lines.size(); ++i)
        header_list[i] = {header_lines[i].data(),
                          i + 1 < header_lines.size() ? &header_list[i + 1] : nullptr};
    set(CURLOPT_HTTPHEADER, header_list.empty() ? nullptr : header_list.data());
}

void CurlHandle::State::set_credentials()
{
    if (!request->bearer_token.empty()) {
        set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
        set(CURLOPT_XOAUTH2_BEARER, request->bearer_token.reveal().c_str());
    } else if (!request->username.empty() || !request->password.empty()) {
        set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
        set(CURLOPT_USERNAME, request->username.c_str());
        set(CURLOPT_PASSWORD, request->password.reveal().c_str());
    }
}

// ---- what came of it ----

// What a failed transfer says about its target.
Verdict CurlHandle::State::failure() const
{
    if (verdict)
        return *verdict;
    const std::string detail = words[0] ? words.data() : curl_easy_strerror(code);
    const auto says = [&](std::string_view what) { return detail.contains(what); };
    const auto number = socket_error ? socket_error : static_cast<int>(info<long>(CURLINFO_OS_ERRNO));
    const boost::system::error_code system{number, boost::system::system_category()};
    const auto body_bytes = std::to_string(reply->body_bytes);
    switch (code) {
        case CURLE_COULDNT_CONNECT:
            if (number == ENOENT)
                return no_response(Reason::connection_refused, "there is no socket " + request->unix_socket);
            return number ? verdict_of(system) : no_response(Reason::connection_closed, detail);
        case CURLE_SSL_CONNECT_ERROR:
            if (says("reset by peer"))
                return no_response(Reason::connection_reset, "connection reset by peer");
            if (says("unexpected eof") || says("SSL_ERROR_SYSCALL"))
                return no_response(Reason::connection_closed, "the peer closed the connection");
            return rejected(Reason::tls_failure, detail);
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
            if (number && says("failure"))  // "Recv failure: ...": the system's error, not curl's
                return verdict_of(system);
            return rejected(says("SSL") ? Reason::tls_failure : Reason::protocol_error, detail);
        case CURLE_GOT_NOTHING:
            return no_response(Reason::connection_closed, "the peer closed the connection");
        case CURLE_PARTIAL_FILE:
            return no_response(
                Reason::connection_closed,
                "the peer closed the connection within the body, after " + body_bytes + " bytes");
        case CURLE_OPERATION_TIMEDOUT: return no_response(Reason::timeout, "no connection in time");
        case CURLE_WRITE_ERROR:
        case CURLE_OUT_OF_MEMORY:  // also a single header of more than 100 KiB
            if (progress->phase() == Phase::reply)
                return rejected(Reason::reply_too_large, "the headers are larger than 256 KiB");
            return not_attempted(Reason::resource_exhausted, "out of memory");
        case CURLE_URL_MALFORMAT: return not_attempted(Reason::bad_configuration, detail);
        default:
            if (static_cast<int>(code) == curle_too_large)
                return rejected(Reason::reply_too_large, detail);
            return rejected(Reason::protocol_error, detail);
    }
}

// What curl knows once the headers have come.
void CurlHandle::State::note_head() const
{
    reply->status = static_cast<int>(info<long>(CURLINFO_RESPONSE_CODE));
    const auto version = info<long>(CURLINFO_HTTP_VERSION);
    reply->version = version == CURL_HTTP_VERSION_1_0 ? 1.0 : version == CURL_HTTP_VERSION_1_1 ? 1.1 : 2;
}

// ---- the handle ----

CurlHandle::CurlHandle(const asio::any_io_executor& executor) : state_{std::make_unique<State>(executor)}
{
    if (!state_->easy)
        throw std::bad_alloc{};
}

CurlHandle::~CurlHandle() = default;

bool CurlHandle::suits(const HttpRequest& request) const
{
    const auto& current = state_->request;
    // The Host header that goes with a server_name is made from the URL.
    return current && settings(*current) == settings(request) &&
           (request.tls.server_name.empty() || current->url == request.url);
}

void CurlHandle::prepare(const HttpRequest& request, const Way& way, Progress& progress, HttpReply& reply)
{
    auto& state = *state_;
    if (!suits(request))
        state.set_all(request);
    state.request->url = request.url;

    const auto& name = request.tls.server_name;
    auto url = name.empty() ? request.url.whole() : request.url.with_host(name).whole();
    if (url != state.url)
        state.set(CURLOPT_URL, (state.url = std::move(url)).c_str());
    auto route = route_to(way);
    if (route != state.route) {
        state.route = std::move(route);
        state.route_list = {state.route.data(), nullptr};
        state.set(CURLOPT_CONNECT_TO, state.route.empty() ? nullptr : &state.route_list);
    }
    if (way.connect_limit != state.connect_limit) {
        state.connect_limit = way.connect_limit;
        state.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(way.connect_limit.count()));
    }
    state.set(CURLOPT_PRIVATE, this);
    state.progress = &progress;
    state.reply = &reply;
    state.reader = ReplyReader{*state.request, reply};
    state.ended = false;
    state.socket_error = 0;
    state.verdict.reset();
    state.words[0] = '\0';
}

void* CurlHandle::easy() const { return state_->easy.get(); }
bool CurlHandle::has_ended() const { return state_->ended; }

void CurlHandle::end(int code)
{
    state_->code = static_cast<CURLcode>(code);
    state_->ended = true;
    state_->finished.cancel();
}

asio::awaitable<void> CurlHandle::wait()
{
    co_await state_->finished.async_wait(asio::as_tuple(asio::use_awaitable));
}

void CurlHandle::complete(HttpReply& reply)
{
    const auto& state = *state_;
    const bool enough = state.code == CURLE_WRITE_ERROR && reply.body_cut;
    if (state.code != CURLE_OK && !enough)
        throw Failure{state.failure()};
    if (state.reader.in_headers())  // which curl takes for an answer
        throw Failure{
            no_response(Reason::connection_closed, "the peer closed the connection within the headers")};

    state.note_head();
    if (const auto* location = state.info<char*>(CURLINFO_REDIRECT_URL))
        reply.redirect = location;
}

}  // namespace keepwell
