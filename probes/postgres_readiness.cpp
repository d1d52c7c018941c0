#include "probes/postgres_readiness.hpp"

#include "probes/postgres_protocol.hpp"
#include "probes/sql.hpp"
#include "probes/stream.hpp"

#include <fmt/format.h>

#include <array>

namespace keepwell::postgres {

namespace {

// A session that was opened although we did not ask for one (`trust`): the greeting of such a session comes
// in one piece, and when all of it is here we say goodbye, or the server logs that we went away.
asio::awaitable<void> end_session(Stream& stream, std::string_view rest)
{
    while (const auto message = take_message(rest))
        if (message->type == 'Z') {
            co_await stream.write(terminate);
            co_return;
        }
}

asio::awaitable<Verdict> judge(const Message& message, Stream& stream, std::string_view rest)
{
    switch (message.type) {
        case 'R':
            if (parse_authentication(message.body))
                co_await end_session(stream, rest);
            co_return ok();
        case 'E': {
            const auto error = parse_error(message.body);
            co_return judge_readiness(error.sqlstate, server_words(error.text, Secret{}));
        }
        default:
            co_return rejected(Reason::protocol_error, fmt::format("unexpected message '{}'", message.type));
    }
}

}  // namespace

Verdict judge_readiness(std::string_view sqlstate, std::string words)
{
    if (sqlstate == cannot_connect_now)
        return rejected(Reason::starting_up, std::move(words));
    if (sqlstate.empty())
        return no_response(Reason::connection_closed, std::move(words));
    return ok(fmt::format("{} ({})", words, sqlstate));
}

asio::awaitable<Verdict> readiness(const PostgresSpec& spec, Progress& progress)
{
    auto stream = co_await connect(spec.address, progress);
    // Gone by FIN, not by RST: the server logs "connection reset by peer" for that.
    stream.socket().set_option(asio::socket_base::linger{false, 0});
    progress.enter(Phase::request);
    co_await stream.write(startup_message(spec.user, spec.database));

    progress.enter(Phase::reply);
    std::string received;
    for (std::array<char, 4096> piece{};;) {
        const auto count = co_await stream.read_some(piece);
        received.append(piece.data(), count);
        std::string_view rest{received};
        if (const auto message = take_message(rest))
            co_return co_await judge(*message, stream, rest);
    }
}

}  // namespace keepwell::postgres
