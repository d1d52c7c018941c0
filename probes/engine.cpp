#include "probes/engine.hpp"

#include "probes/deadline.hpp"
#include "probes/engine_stream.hpp"
#include "probes/engine_way.hpp"
#include "probes/http_reply.hpp"
#include "probes/printable.hpp"
#include "probes/runner.hpp"

#include <boost/asio/ssl/error.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace keepwell {

namespace json = boost::json;

// What engines made from the same options share.
struct Engine::State {
    EngineOptions options{};
    std::expected<EngineWay, std::string> way{};
    std::string version{};  // of the API, as agreed on: "1.41"; empty: not asked yet
};

namespace {

using StatePtr = std::shared_ptr<Engine::State>;

constexpr std::uint64_t most_reply_bytes = std::uint64_t{32} << 20;
constexpr std::size_t flood_bytes = std::size_t{1} << 20;
constexpr auto flood_pause = std::chrono::milliseconds{5};
constexpr std::uint64_t endless = std::numeric_limits<std::uint64_t>::max();

struct Version {
    int major = 0;
    int minor = 0;
    auto operator<=>(const Version&) const = default;
};
constexpr Version oldest{1, 24};
constexpr Version newest{1, 51};  // what this was written against

std::string text_of(Version version)
{
    return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::optional<Version> version_in(std::string_view text)
{
    Version version;
    const auto dot = std::min(text.find('.'), text.size());
    const auto is_number = [](std::string_view part, int& number) {
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
        return error == std::errc{} && end == part.data() + part.size() && number >= 0;
    };
    if (dot == text.size() || !is_number(text.substr(0, dot), version.major) ||
        !is_number(text.substr(dot + 1), version.minor))
        return std::nullopt;
    return version;
}

// Says first whom we spoke to.
Verdict about(const Engine::State& state, Verdict verdict)
{
    verdict.detail =
        "Docker Engine at " + (state.way ? state.way->host : state.options.host) + ": " + verdict.detail;
    return verdict;
}

// ---- one exchange ----

// A connection on which a request was sent, and what has come of its answer.
struct Exchange {
    Exchange(Stream connected, std::string method, std::uint64_t most)
        : stream{std::move(connected)},
          request{.method = std::move(method), .max_body = most, .keep_body = most, .keep_headers = true}
    {
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    Stream stream;
    HttpRequest request;
    HttpReply reply{};
    HttpReplyParser parser{request, reply};
    std::vector<char> buffer = std::vector<char>(16384);
};
using ExchangePtr = std::unique_ptr<Exchange>;

std::string wire_of(const EngineWay& way, const EngineRequest& request, const std::string& version)
{
    std::string wire = request.method + " " + (version.empty() ? "" : "/v" + version) + request.path +
                       " HTTP/1.1\r\nHost: " + (way.socket.empty() ? way.address.text() : "docker") +
                       "\r\nUser-Agent: keepwell\r\nAccept: */*\r\nConnection: close\r\n";
    if (!request.body.empty())
        wire += "Content-Type: application/json\r\n";
    if (!request.body.empty() || request.method != "GET")
        wire += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    return wire + "\r\n" + request.body;
}

// Who refuses a request may answer and close before it has read it all: what is wrong is told by the answer.
asio::awaitable<void> send(Stream& stream, const std::string& wire)
{
    try {
        co_await stream.write(wire);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted)
            throw;
    }
}

// Reads what is there, at least a byte, or the end.
asio::awaitable<void> receive(Exchange& exchange)
{
    std::size_t count = 0;
    try {
        count = co_await exchange.stream.read_some(exchange.buffer);
    } catch (const boost::system::system_error& error) {
        if (error.code() != asio::error::eof && error.code() != asio::ssl::error::stream_truncated)
            throw;
    }
    if (count == 0)
        exchange.parser.feed_end();
    else
        exchange.parser.feed({exchange.buffer.data(), count});
}

// Until the headers of the answer are there.
asio::awaitable<ExchangePtr> begin(StatePtr state, EngineRequest request, std::string version,
                                   std::uint64_t most)
{
    if (!state->way)
        throw Failure{not_attempted(Reason::bad_configuration, state->way.error())};
    Stream stream = co_await reach(*state->way);
    auto exchange = std::make_unique<Exchange>(std::move(stream), request.method, most);
    const auto wire = wire_of(*state->way, request, version);
    co_await send(exchange->stream, wire);
    while (!exchange->parser.has_headers())
        co_await receive(*exchange);
    co_return exchange;
}

asio::awaitable<ExchangePtr> finish(ExchangePtr exchange)
{
    while (!exchange->parser.done())
        co_await receive(*exchange);
    if (exchange->reply.body_cut)
        throw Failure{rejected(Reason::reply_too_large, "the answer is larger than 32 MiB")};
    co_return exchange;
}

asio::awaitable<ExchangePtr> whole(StatePtr state, EngineRequest request, std::string version)
{
    ExchangePtr exchange =
        co_await begin(std::move(state), std::move(request), std::move(version), most_reply_bytes);
    co_return co_await finish(std::move(exchange));
}

// What is no answer of an Engine's, but of one who stands in front of it.
void refuse_proxy(const EngineRequest& request, const HttpReply& reply)
{
    const auto what = request.method + " " + request.path.substr(0, request.path.find('?'));
    const auto status = " (status " + std::to_string(reply.status) + ")";
    if (reply.status == 403)
        throw Failure{not_attempted(Reason::permission_denied,
                                    what + " is refused" + status + ": does the socket proxy allow it?")};
    const bool is_gateway = reply.status == 502 || reply.status == 503 || reply.status == 504;
    if (is_gateway && !reply.body.starts_with('{'))
        throw Failure{no_response(Reason::unreachable, "the proxy in front of it finds no engine" + status)};
}

// ---- the version of the API ----

std::optional<Version> version_of_ping(const HttpReply& reply)
{
    for (const auto& [name, value] : reply.headers)
        if (same_name(name, "Api-Version"))
            return version_in(value);
    return std::nullopt;
}

std::optional<Version> version_of_body(const HttpReply& reply)
{
    boost::system::error_code error;
    const auto value = json::parse(reply.body, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto* version = object ? object->if_contains("ApiVersion") : nullptr;
    return version && version->is_string() ? version_in(version->get_string().c_str()) : std::nullopt;
}

asio::awaitable<std::optional<Version>> ask_version(StatePtr state)
{
    const EngineRequest ping{.path = "/_ping"};
    ExchangePtr exchange = co_await whole(state, ping, "");
    if (auto version = version_of_ping(exchange->reply))
        co_return version;
    const EngineRequest ask{.path = "/version"};
    exchange = co_await whole(state, ask, "");
    refuse_proxy(ask, exchange->reply);
    co_return version_of_body(exchange->reply);
}

// The newest that both sides know, when there is none yet.
asio::awaitable<void> agree_on_version(StatePtr state)
{
    if (!state->version.empty())
        co_return;
    const std::optional<Version> theirs = co_await ask_version(state);
    if (!theirs)
        throw Failure{rejected(Reason::protocol_error, "it does not answer as a Docker Engine")};
    if (*theirs < oldest)
        throw Failure{not_attempted(Reason::bad_configuration,
                                    "its API " + text_of(*theirs) + " is older than " + text_of(oldest))};
    state->version = text_of(std::min(*theirs, newest));
}

// An Engine that was replaced by another one may know our version no more, or not yet.
bool is_other_version(const HttpReply& reply)
{
    return reply.status == 400 && reply.body.contains("client version");
}

// ---- what is made of it ----

asio::awaitable<EngineReply> converse(StatePtr state, EngineRequest request)
{
    co_await agree_on_version(state);
    ExchangePtr exchange = co_await whole(state, request, state->version);
    if (is_other_version(exchange->reply)) {
        state->version.clear();
        co_await agree_on_version(state);
        exchange = co_await whole(state, request, state->version);
    }
    refuse_proxy(request, exchange->reply);
    co_return EngineReply{exchange->reply.status, std::move(exchange->reply.body)};
}

// A stream that has begun, with status 200.
asio::awaitable<ExchangePtr> begin_stream(StatePtr state, EngineRequest request)
{
    co_await agree_on_version(state);
    ExchangePtr exchange = co_await begin(state, request, state->version, endless);
    if (exchange->reply.status == 200)
        co_return exchange;
    exchange = co_await finish(std::move(exchange));
    if (is_other_version(exchange->reply))
        state->version.clear();  // for the next try
    refuse_proxy(request, exchange->reply);
    const EngineReply reply{exchange->reply.status, exchange->reply.body};
    throw Failure{rejected(Reason::status_mismatch,
                           "status " + std::to_string(reply.status) + ": " + message_of(reply))};
}

asio::awaitable<void> throw_if_cancelled()
{
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error{asio::error::operation_aborted};
}

// What `work` comes to by the deadline; every error as a Failure that says whom we spoke to.
template <class T>
asio::awaitable<T> in_time(StatePtr state, std::string what, Clock::time_point deadline,
                           asio::awaitable<T> work)
{
    std::optional<T> result;
    std::optional<Verdict> wrong;
    try {
        result = co_await within(deadline, std::move(work));
    } catch (const Failure& failure) {
        wrong = failure.verdict;
    } catch (const boost::system::system_error& error) {
        wrong = verdict_of(error.code());
    }
    co_await throw_if_cancelled();
    if (wrong)
        throw Failure{about(*state, *std::move(wrong))};
    if (!result)
        throw Failure{about(*state, no_response(Reason::timeout, "no answer to " + what + " in time"))};
    co_return *std::move(result);
}

std::string name_of(const EngineRequest& request)
{
    return request.method + " " + request.path.substr(0, request.path.find('?'));
}

asio::awaitable<EngineReply> call_engine(StatePtr state, EngineRequest request, Clock::time_point deadline)
{
    auto what = name_of(request);
    return in_time(state, std::move(what), deadline, converse(state, std::move(request)));
}

// Who sends without end gets a limited share of our time.
asio::awaitable<void> read_on(Exchange& exchange, const std::function<void(std::string_view)>& each)
{
    auto& body = exchange.reply.body;
    asio::steady_timer pause{co_await asio::this_coro::executor};
    for (std::size_t since_pause = 0;;) {
        const auto piece = std::move(body);
        body.clear();
        since_pause += piece.size();
        if (!piece.empty())
            each(piece);
        if (exchange.parser.done())
            co_return;
        if (since_pause >= flood_bytes) {
            since_pause = 0;
            pause.expires_after(flood_pause);
            co_await pause.async_wait(asio::use_awaitable);
        }
        co_await receive(exchange);
    }
}

asio::awaitable<void> attach_engine(StatePtr state, EngineRequest request,
                                    std::function<void(std::string_view)> each)
{
    const auto deadline = Clock::now() + state->options.timeout.value;
    const auto what = name_of(request);
    ExchangePtr exchange = co_await in_time(state, what, deadline, begin_stream(state, std::move(request)));
    std::optional<Verdict> wrong;
    try {
        co_await read_on(*exchange, each);
    } catch (const Failure& failure) {
        wrong = failure.verdict;
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted)
            throw;
        wrong = verdict_of(error.code());
    }
    if (wrong)
        throw Failure{about(*state, *std::move(wrong))};
}

asio::awaitable<void> stream_engine(StatePtr state, std::string path,
                                    std::function<void(std::string_view)> each)
{
    ObjectSplitter splitter;
    const EngineRequest request{.path = std::move(path)};
    co_await attach_engine(state, request,
                           [&splitter, &each](std::string_view piece) { splitter.feed(piece, each); });
}

// Few options are ever in use: those of the configuration, and of those before it.
StatePtr state_of(EngineOptions options)
{
    constexpr std::size_t most_states = 64;
    thread_local std::vector<StatePtr> states;
    const auto way = way_of(options);
    const auto same = [&](const StatePtr& each) {
        return each->options == options && each->way.has_value() == way.has_value() &&
               (!way || each->way->host == way->host);
    };
    if (const auto found = std::ranges::find_if(states, same); found != states.end())
        return *found;
    if (states.size() == most_states)
        states.clear();
    return states.emplace_back(std::make_shared<Engine::State>(std::move(options), way));
}

}  // namespace

std::string message_of(const EngineReply& reply)
{
    boost::system::error_code error;
    const auto value = json::parse(reply.body, error);
    if (const auto* object = error ? nullptr : value.if_object())
        if (const auto* message = object->if_contains("message"); message && message->is_string())
            return excerpt(message->get_string(), 400);
    return first_line(printable(reply.body));
}

Verdict blame_engine(Verdict failure)
{
    if (failure.outcome == Outcome::not_attempted)
        return failure;
    return not_attempted(Reason::engine_unavailable, std::move(failure.detail));
}

std::string url_encoded(std::string_view text)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const unsigned char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            result += static_cast<char>(c);
        else
            (result += '%') += {digits[c >> 4], digits[c & 15]};
    }
    return result;
}

std::vector<std::string> EngineOptions::faults() const
{
    const auto way = way_of(*this);
    return way ? std::vector<std::string>{} : std::vector{way.error()};
}

Engine::Engine(EngineOptions options) : state_{state_of(std::move(options))} {}

const std::string& Engine::host() const { return state_->way ? state_->way->host : state_->options.host; }

asio::awaitable<EngineReply> Engine::call(EngineRequest request, Clock::time_point deadline) const
{
    return call_engine(state_, std::move(request), deadline);
}

asio::awaitable<EngineReply> Engine::call(EngineRequest request) const
{
    return call(std::move(request), Clock::now() + state_->options.timeout.value);
}

asio::awaitable<void> Engine::stream(std::string path, std::function<void(std::string_view)> each) const
{
    return stream_engine(state_, std::move(path), std::move(each));
}

asio::awaitable<void> Engine::attach(EngineRequest request, std::function<void(std::string_view)> each) const
{
    return attach_engine(state_, std::move(request), std::move(each));
}

}  // namespace keepwell
