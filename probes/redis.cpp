#include "probes/redis.hpp"

#include "probes/printable.hpp"
#include "probes/redis_session.hpp"

namespace keepwell {

namespace {

using Kind = RedisReply::Kind;

std::string element(const RedisReply& array, std::size_t index)
{
    const bool is_there = array.kind == Kind::array && index < array.elements.size();
    return is_there ? array.elements[index].text : std::string{};
}

// The answer to ROLE is a list whose first word is the role; a replica's fourth says how it stands with its
// primary.
Verdict judge_role(RedisRole wanted, const RedisReply& reply, Progress& progress)
{
    if (reply.kind == Kind::error)
        return verdict_of_error(reply.text);
    const auto word = element(reply, 0);
    const auto role = word == "slave" ? std::string{"replica"} : word;
    if (role != "master" && role != "replica" && role != "sentinel")
        return rejected(Reason::protocol_error, "ROLE was answered with nonsense");
    if (role == "replica")
        progress.note("redis_primary_link_up", element(reply, 3) == "connected" ? 1 : 0);
    if (role != name_of(wanted))
        return rejected(Reason::role_mismatch, "it is a " + role + ", not a " + std::string{name_of(wanted)});
    return ok();
}

}  // namespace

std::vector<std::string> RedisSpec::faults() const
{
    if (!username.empty() && password.empty())
        return {"username needs a password"};
    return {};
}

asio::awaitable<Verdict> probe(const RedisSpec& spec, Progress& progress)
{
    std::string commands;
    append_command(commands, {"PING"});
    const bool asks_role = spec.role != RedisRole::any;
    if (asks_role)
        append_command(commands, {"ROLE"});
    const RedisLogin login{spec.address, spec.tls, spec.username, spec.password, spec.database};
    const auto replies = co_await converse(login, std::move(commands), asks_role ? 2 : 1, progress);

    const auto& pong = replies.front();
    if (pong.kind == Kind::error)
        co_return verdict_of_error(pong.text);
    if (pong.text != "PONG")
        co_return rejected(Reason::protocol_error,
                           "PING was answered with \"" + first_line(printable(pong.text)) + '"');
    co_return asks_role ? judge_role(spec.role, replies.back(), progress) : ok();
}

}  // namespace keepwell
