#include "probes/redis_session.hpp"

#include "probes/printable.hpp"

#include <algorithm>
#include <array>

namespace keepwell {

namespace {

using Kind = RedisReply::Kind;

struct ErrorMeaning {
    std::string_view beginning;
    Reason reason;
};

// What Redis 2.8 to 8 and Sentinel say before anything else is worth asking; all others are query_failed.
constexpr std::array meanings{
    ErrorMeaning{"LOADING", Reason::starting_up},
    ErrorMeaning{"NOAUTH", Reason::authentication_required},
    ErrorMeaning{"ERR operation not permitted", Reason::authentication_required},
    ErrorMeaning{"WRONGPASS", Reason::authentication_failed},
    ErrorMeaning{"NOPERM", Reason::authentication_failed},
    ErrorMeaning{"ERR invalid password", Reason::authentication_failed},
    ErrorMeaning{"MASTERDOWN", Reason::primary_down},
    ErrorMeaning{"ERR max number of clients", Reason::too_many_connections},
    ErrorMeaning{"DENIED", Reason::host_blocked},
    ErrorMeaning{"BUSY", Reason::busy},
    ErrorMeaning{"MISCONF", Reason::not_writable},
};

Reason reason_of(std::string_view error)
{
    for (const auto& each : meanings)
        if (error.starts_with(each.beginning))
            return each.reason;
    return Reason::query_failed;
}

// A server may repeat what AUTH was given ("unknown command 'AUTH', with args beginning with: ..."): its
// words are not shown.
Verdict verdict_of_login(const RedisReply& reply)
{
    if (reply.kind != Kind::error)
        return rejected(Reason::protocol_error, "AUTH was not answered with OK");
    const auto reason = reason_of(reply.text);
    if (reason != Reason::query_failed && reason != Reason::authentication_failed)
        return verdict_of_error(reply.text);
    if (reply.text.contains("without any password") || reply.text.contains("no password is set"))
        return rejected(Reason::authentication_failed, "the server wants no password, but one is configured");
    return rejected(Reason::authentication_failed, "AUTH was refused");
}

RedisReply taken(std::expected<std::optional<RedisReply>, RedisReplies::Bad>& reply)
{
    if (!reply && reply.error() == RedisReplies::Bad::too_large)
        throw Failure{rejected(Reason::reply_too_large, "the reply is too large for a Redis server's")};
    if (!reply)
        throw Failure{rejected(Reason::protocol_error, "this is not the Redis protocol")};
    return std::move(**reply);
}

// Whole replies off a stream.
class Listener {
public:
    explicit Listener(Stream& stream) : stream_{stream} {}

    asio::awaitable<RedisReply> next()
    {
        for (;;) {
            auto reply = replies_.next();
            if (!reply || *reply)
                co_return taken(reply);
            const auto count = co_await stream_.read_some(bytes_);
            replies_.feed({bytes_.data(), count});
        }
    }

private:
    Stream& stream_;
    RedisReplies replies_{};
    std::array<char, 4096> bytes_;
};

std::string login_commands(const RedisLogin& login)
{
    std::string wire;
    if (!login.password.empty() && login.username.empty())
        append_command(wire, {"AUTH", login.password.reveal()});
    else if (!login.password.empty())
        append_command(wire, {"AUTH", login.username, login.password.reveal()});
    if (login.database != 0)
        append_command(wire, {"SELECT", std::to_string(login.database)});
    return wire;
}

}  // namespace

Verdict verdict_of_error(std::string_view error)
{
    return rejected(reason_of(error), first_line(printable(error)));
}

asio::awaitable<std::vector<RedisReply>> converse(RedisLogin login, std::string commands, std::size_t count,
                                                  Progress& progress)
{
    auto stream = co_await connect(login.address, progress);
    if (login.tls)
        co_await start_tls(stream, *login.tls, login.address.host, progress);

    progress.enter(Phase::request);
    try {
        co_await stream.write(login_commands(login) + commands);
    } catch (const boost::system::system_error&) {
        // A server that turns us away at the door (too many clients, protected mode) says why and closes:
        // read it.
    }
    progress.enter(Phase::reply);
    Listener listener{stream};
    if (!login.password.empty()) {
        const auto reply = co_await listener.next();
        if (reply.kind != Kind::status || reply.text != "OK")
            throw Failure{verdict_of_login(reply)};
    }
    if (login.database != 0) {
        const auto reply = co_await listener.next();
        if (reply.kind == Kind::error)
            throw Failure{verdict_of_error(reply.text)};
    }
    std::vector<RedisReply> replies;
    replies.reserve(count);
    while (replies.size() < count)
        replies.push_back(co_await listener.next());
    co_return replies;
}

}  // namespace keepwell
