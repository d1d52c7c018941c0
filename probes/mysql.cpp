#include "probes/mysql.hpp"

#include "probes/mysql_protocol.hpp"
#include "probes/sql.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace keepwell {

namespace {

using mysql::Greeting;
using mysql::ServerError;

constexpr std::string_view quit{"\x01", 1};
constexpr std::string_view ping{"\x0e", 1};
constexpr char query_command = '\x03';

// A connection that speaks in packets, and that hears a server out for one megabyte at most.
class Conversation {
public:
    explicit Conversation(Stream stream) : stream_{std::move(stream)} {}

    Stream& stream() { return stream_; }
    bool heard_more() const { return !buffer_.empty(); }

    asio::awaitable<std::string> hear()
    {
        co_await fill(mysql::header_size);
        const auto header = mysql::parse_header(buffer_);
        if (header.number != number_++)
            throw Failure{rejected(Reason::protocol_error, "packets out of order")};
        total_ += mysql::header_size + header.length;
        if (total_ > reply_limit)
            throw Failure{rejected(started_ ? Reason::reply_too_large : Reason::protocol_error,
                                   fmt::format("more than {} bytes", reply_limit))};
        co_await fill(mysql::header_size + header.length);
        auto payload = buffer_.substr(mysql::header_size, header.length);
        buffer_.erase(0, mysql::header_size + header.length);
        started_ = true;
        co_return payload;
    }
    asio::awaitable<void> say(std::string_view payload)
    {
        const auto bytes = mysql::packet(number_++, payload);
        co_await stream_.write(bytes);
    }
    // A command starts counting its packets anew.
    asio::awaitable<void> command(std::string_view payload)
    {
        number_ = 0;
        co_await say(payload);
    }

private:
    asio::awaitable<void> fill(std::size_t size)
    {
        std::array<char, 4096> piece{};
        while (buffer_.size() < size) {
            const auto count = co_await stream_.read_some(piece);
            buffer_.append(piece.data(), count);
        }
    }

    Stream stream_;
    std::string buffer_{};
    std::size_t total_ = 0;
    std::uint8_t number_ = 0;
    bool started_ = false;  // it has sent one packet that was one
};

// --- what errors mean
// ----------------------------------------------------------------------------------------------

constexpr std::array refusals{
    1044,  // access denied to the database
    1045,  // access denied
    1130,  // host is not allowed to connect
    1251,  // client does not know the way to authenticate
    1524,  // the server itself does not know it
    1698,  // access denied, without a password
    1862,  // password expired
    3118,  // account locked (MySQL)
    3159,  // only with TLS
    3955,  // account blocked after too many wrong passwords
    4151,  // account locked (MariaDB)
};

bool is_refusal(const ServerError& error)
{
    return std::ranges::find(refusals, error.code) != refusals.end();
}

Verdict judge(const ServerError& error, const MysqlSpec& spec)
{
    auto words = fmt::format("{} ({})", server_words(error.text, spec.password), error.code);
    switch (error.code) {
        case 1129: return rejected(Reason::host_blocked, std::move(words));
        case 1040:  // too many connections,
        case 1203:  // of this user
        case 1226:  // in this hour
            return rejected(Reason::too_many_connections, std::move(words));
        case 1053:  // shutdown in progress
        case 3032:  // offline mode
            return rejected(Reason::starting_up, std::move(words));
        default: return rejected(Reason::query_failed, std::move(words));
    }
}

// Who was not given a user only wants to know whether the server serves, and who refuses serves.
Verdict judge_login(const ServerError& error, const MysqlSpec& spec)
{
    auto verdict = judge(error, spec);
    if (!is_refusal(error))
        return verdict;
    return spec.user.empty() ? ok(std::move(verdict.detail))
                             : rejected(Reason::authentication_failed, std::move(verdict.detail));
}

Verdict judge_unknown_plugin(const std::string& plugin, const MysqlSpec& spec)
{
    auto words = fmt::format("the server wants {}, which keepwell does not speak{}",
                             server_words(plugin, Secret{}), plugin == mysql::clear ? " without TLS" : "");
    return spec.user.empty() ? ok(std::move(words))
                             : rejected(Reason::authentication_failed, std::move(words));
}

// --- logging in
// ----------------------------------------------------------------------------------------------------

struct Method {
    std::string plugin;
    std::string scramble;
};

// The next thing to say to a server that wants more than the first proof; empty when it only tells us
// something.
std::string answer_to(std::string_view data, const Method& method, const MysqlSpec& spec)
{
    const auto& password = spec.password.reveal();
    if (data == "\3")  // it remembers us
        return {};
    if (data == "\4")  // it does not, and wants the password itself
        return spec.tls ? password + '\0' : "\2";
    if (data.starts_with("-----BEGIN"))
        return mysql::encrypted(password, method.scramble, data);
    throw Failure{
        rejected(Reason::protocol_error, "unknown data of " + server_words(method.plugin, Secret{}))};
}

asio::awaitable<void> authenticate(Conversation& server, Method method, const MysqlSpec& spec)
{
    constexpr int most_turns = 8;
    for (int turn = 0; turn < most_turns; ++turn) {
        const auto payload = co_await server.hear();
        if (mysql::is_ok(payload))
            co_return;
        if (mysql::is_error(payload))
            throw Failure{judge_login(mysql::parse_error(payload), spec)};
        if (mysql::is_switch(payload)) {
            auto wanted = mysql::parse_switch(payload);
            method = {std::move(wanted.plugin), std::move(wanted.scramble)};
            const auto proof =
                mysql::proof(method.plugin, spec.password.reveal(), method.scramble, spec.tls.has_value());
            if (!proof)
                throw Failure{judge_unknown_plugin(method.plugin, spec)};
            co_await server.say(*proof);
        } else if (mysql::is_more_data(payload)) {
            if (const auto next = answer_to(std::string_view{payload}.substr(1), method, spec); !next.empty())
                co_await server.say(next);
        } else {
            break;
        }
    }
    throw Failure{rejected(Reason::protocol_error, "a login that does not end")};
}

asio::awaitable<void> log_in(Conversation& server, const Greeting& greeting, const MysqlSpec& spec,
                             Progress& progress)
{
    const auto& user = spec.user.empty() ? "keepwell" : spec.user;
    mysql::Login login{.user = user, .database = spec.database, .tls = spec.tls.has_value()};
    if (spec.tls) {
        if (!greeting.tls)
            throw Failure{rejected(Reason::tls_failure, "the server does not do TLS")};
        if (server.heard_more())
            throw Failure{rejected(Reason::protocol_error, "the server speaks out of turn")};
        co_await server.say(mysql::tls_request(login));
        co_await start_tls(server.stream(), *spec.tls, spec.address.host, progress);
        progress.enter(Phase::request);
    }
    // With a way that we do not know, we begin with one that every server knows, and it will say what it
    // wants.
    Method method{greeting.plugin, greeting.scramble};
    auto proof = mysql::proof(method.plugin, spec.password.reveal(), method.scramble, login.tls);
    if (!proof) {
        method.plugin = mysql::native;
        proof = mysql::proof(method.plugin, spec.password.reveal(), method.scramble, login.tls);
    }
    login.proof = *proof;
    login.plugin = method.plugin;
    co_await server.say(mysql::login_request(login));
    co_await authenticate(server, std::move(method), spec);
}

// --- questions
// -----------------------------------------------------------------------------------------------------

asio::awaitable<void> ping_it(Conversation& server, const MysqlSpec& spec)
{
    co_await server.command(ping);
    const auto payload = co_await server.hear();
    if (mysql::is_error(payload))
        throw Failure{judge(mysql::parse_error(payload), spec)};
    if (!mysql::is_ok(payload))
        throw Failure{rejected(Reason::protocol_error, "no answer to a ping")};
}

// The next packet of a result, which is not an error.
asio::awaitable<std::string> hear_result(Conversation& server, const MysqlSpec& spec)
{
    auto payload = co_await server.hear();
    if (mysql::is_error(payload))
        throw Failure{judge(mysql::parse_error(payload), spec)};
    co_return payload;
}

// Hears one result to its end, and says whether another follows.
asio::awaitable<bool> hear_rows(Conversation& server, const MysqlSpec& spec, QueryValue& value)
{
    auto payload = co_await hear_result(server, spec);
    if (mysql::is_ok(payload))  // of a statement without rows
        co_return mysql::more_results_after(payload);
    mysql::parse_column_count(payload);
    do  // the columns
        payload = co_await hear_result(server, spec);
    while (!mysql::is_end(payload));
    for (;;) {
        payload = co_await hear_result(server, spec);
        if (mysql::is_end(payload))
            co_return mysql::more_results_after(payload);
        if (!std::exchange(value.row, true))
            value.text = mysql::parse_first_column(payload);
    }
}

asio::awaitable<QueryValue> ask(Conversation& server, const std::string& query, const MysqlSpec& spec)
{
    co_await server.command(query_command + query);
    QueryValue value;
    bool more = true;
    while (more)
        more = co_await hear_rows(server, spec, value);
    co_return value;
}

// A query that outlives its attempt would go on at the server, where the next attempts would join it. Servers
// that do not know the setting say so, and do without.
asio::awaitable<void> limit(Conversation& server, const Greeting& greeting, Clock::time_point deadline)
{
    using std::chrono::milliseconds;
    constexpr milliseconds longest = std::chrono::hours{24};
    const auto left =
        std::clamp(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds{1}, longest);
    auto statement = greeting.mariadb
                         ? fmt::format("SET SESSION max_statement_time = {:.3f}", left.count() / 1e3)
                         : fmt::format("SET SESSION max_execution_time = {}", left.count());
    co_await server.command(query_command + statement);
    co_await server.hear();
}

asio::awaitable<Verdict> ask_or_ping(Conversation& server, const Greeting& greeting, const MysqlSpec& spec,
                                     Progress& progress)
{
    if (spec.query.empty()) {
        co_await ping_it(server, spec);
        co_return ok();
    }
    co_await limit(server, greeting, progress.deadline());
    const auto value = co_await ask(server, spec.query, spec);
    co_return judge_value(value, spec.expect, spec.expect_regex, progress);
}

// Who leaves without a word is counted as an aborted client, and logged.
asio::awaitable<void> take_leave(Conversation& server)
{
    try {
        co_await server.command(quit);
    } catch (const boost::system::system_error&) {  // it left first, and has said all that we want to know
    }
}

}  // namespace

std::vector<std::string> MysqlSpec::faults() const
{
    std::vector<std::string> found;
    if (query.empty() && (expect || !expect_regex.empty()))
        found.emplace_back("`expect` and `expect_regex` need a `query`");
    if (user.empty() && !query.empty())
        found.emplace_back("a `query` needs a `user`");
    if (user.empty() && !password.empty())
        found.emplace_back("a `password` needs a `user`");
    return found;
}

asio::awaitable<Verdict> probe(const MysqlSpec& spec, Progress& progress)
{
    Conversation server{co_await connect(spec.address, progress)};
    // Gone by FIN, not by RST, which could overtake our goodbye: the server would count an aborted client.
    server.stream().socket().set_option(asio::socket_base::linger{false, 0});
    progress.enter(Phase::request);
    const auto hello = co_await server.hear();
    if (mysql::is_error(hello))
        co_return judge_login(mysql::parse_error(hello), spec);
    const auto greeting = mysql::parse_greeting(hello);
    co_await log_in(server, greeting, spec, progress);

    progress.enter(Phase::reply);
    Verdict verdict;
    try {
        verdict = co_await ask_or_ping(server, greeting, spec, progress);
    } catch (const Failure& failure) {  // the server's answer, not the end of the connection
        verdict = failure.verdict;
    }
    co_await take_leave(server);
    co_return verdict;
}

}  // namespace keepwell
