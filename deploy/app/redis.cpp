#include "deploy/app/redis.hpp"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>

namespace keepwell::app {
namespace {

constexpr std::chrono::milliseconds step{1000};

timeval to_timeval(std::chrono::milliseconds time)
{
    return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

RedisReply copy_of(const redisReply& reply)
{
    RedisReply copy;
    copy.nil = reply.type == REDIS_REPLY_NIL;
    copy.number = reply.type == REDIS_REPLY_INTEGER ? reply.integer : 0;
    if (reply.str != nullptr)
        copy.text.assign(reply.str, reply.len);
    for (std::size_t i = 0; reply.type == REDIS_REPLY_ARRAY && i < reply.elements; ++i)
        copy.elements.push_back(copy_of(*reply.element[i]));
    return copy;
}

std::string error_text(const redisContext& context)
{
    if (context.err == REDIS_ERR_EOF)
        return "the connection was closed";
    if (context.err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK))
        return "no answer in time";
    return static_cast<const char*>(context.errstr);
}

Result<RedisReply> ask_for(redisContext& context, const std::vector<std::string>& words)
{
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    auto* raw = redisCommandArgv(&context, static_cast<int>(words.size()), texts.data(), sizes.data());
    const std::unique_ptr<redisReply, void (*)(void*)> reply{static_cast<redisReply*>(raw), freeReplyObject};
    if (!reply)
        return std::unexpected(error_text(context));
    if (reply->type == REDIS_REPLY_ERROR)
        return std::unexpected(std::string{reply->str, reply->len});
    return copy_of(*reply);
}

// Whether the peer has closed, or said something unasked for: either way of no more use.
bool is_stale(const redisContext& context)
{
    pollfd poll_entry{.fd = context.fd, .events = POLLIN, .revents = 0};
    return context.err != 0 || poll(&poll_entry, 1, 0) != 0;
}

}  // namespace

void Redis::Closer::operator()(void* context) const { redisFree(static_cast<redisContext*>(context)); }

Result<Redis::Connection> Redis::connect() const
{
    Connection connection{redisConnectWithTimeout(settings_.host.c_str(), settings_.port, to_timeval(step))};
    if (!connection)
        return std::unexpected("out of memory");
    auto& context = *static_cast<redisContext*>(connection.get());
    if (context.err != 0)
        return std::unexpected(fmt::format("{}:{}: {}", settings_.host, settings_.port, error_text(context)));
    redisSetTimeout(&context, to_timeval(step));
    if (!settings_.password.empty()) {
        std::vector<std::string> words{"AUTH"};
        if (!settings_.username.empty())
            words.push_back(settings_.username);
        words.push_back(settings_.password);
        if (auto reply = ask_for(context, words); !reply)
            return std::unexpected(std::move(reply.error()));
    }
    if (settings_.database != 0)
        if (auto reply = ask_for(context, {"SELECT", fmt::to_string(settings_.database)}); !reply)
            return std::unexpected(std::move(reply.error()));
    return connection;
}

Result<RedisReply> Redis::command(const std::vector<std::string>& words, std::chrono::milliseconds patience)
{
    if (connection_ && is_stale(*static_cast<redisContext*>(connection_.get())))
        connection_.reset();
    if (!connection_) {
        auto connection = connect();
        if (!connection)
            return std::unexpected(std::move(connection.error()));
        connection_ = std::move(*connection);
    }
    auto& context = *static_cast<redisContext*>(connection_.get());
    redisSetTimeout(&context, to_timeval(step + patience));
    auto reply = ask_for(context, words);
    if (context.err != 0)
        connection_.reset();
    return reply;
}

}  // namespace keepwell::app
