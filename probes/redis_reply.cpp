#include "probes/redis_reply.hpp"

#include <hiredis/hiredis.h>

namespace keepwell {

namespace {

constexpr std::size_t most_bytes = 262'144;  // the ROLE of a primary with two thousand replicas
constexpr std::size_t most_elements = 16'384;
constexpr int deepest = 7;  // lists in lists

const redisReplyObjectFunctions& default_functions()
{
    static const redisReplyObjectFunctions functions = [] {
        redisReader* reader = redisReaderCreate();
        const auto copy = *reader->fn;
        redisReaderFree(reader);
        return copy;
    }();
    return functions;
}

// hiredis allocates what an array's header promises, and 1.x takes lists in lists without end, which it frees
// by recursion. `Count` is int in 0.14 and size_t in 1.x.
template <class Count>
void* bounded_array(const redisReadTask* task, Count elements)
{
    int depth = 1;
    for (const auto* above = task->parent; above; above = above->parent)
        ++depth;
    if (depth > deepest) {
        *static_cast<bool*>(task->privdata) = true;
        return nullptr;
    }
    if (static_cast<std::size_t>(elements) > most_elements)
        return nullptr;
    return default_functions().createArray(task, elements);
}

redisReplyObjectFunctions* bounded_functions()
{
    static redisReplyObjectFunctions functions = [] {
        auto copy = default_functions();
        copy.createArray = bounded_array;
        return copy;
    }();
    return &functions;
}

RedisReply converted(const redisReply& reply)
{
    using Kind = RedisReply::Kind;
    const auto text = [&reply] {
        return reply.str ? std::string{reply.str, static_cast<std::size_t>(reply.len)} : "";
    };
    switch (reply.type) {
        case REDIS_REPLY_STATUS: return {.kind = Kind::status, .text = text()};
        case REDIS_REPLY_ERROR: return {.kind = Kind::error, .text = text()};
        case REDIS_REPLY_INTEGER: return {.kind = Kind::integer, .integer = reply.integer};
        case REDIS_REPLY_NIL: return {};
        case REDIS_REPLY_ARRAY: break;
        default: return {.kind = Kind::text, .text = text()};
    }
    RedisReply array{.kind = Kind::array};
    for (std::size_t i = 0; i < reply.elements; ++i)
        array.elements.push_back(converted(*reply.element[i]));
    return array;
}

}  // namespace

RedisReplies::RedisReplies() : reader_{redisReaderCreateWithFunctions(bounded_functions()), redisReaderFree}
{
    if (!reader_)
        throw std::bad_alloc{};
    reader_->privdata = &too_deep_;
}

RedisReplies::~RedisReplies() = default;

void RedisReplies::feed(std::string_view bytes)
{
    fed_ += bytes.size();
    if (fed_ <= most_bytes)
        redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

std::expected<std::optional<RedisReply>, RedisReplies::Bad> RedisReplies::next()
{
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK)
        return std::unexpected(reader_->err == REDIS_ERR_OOM && !too_deep_ ? Bad::too_large : Bad::protocol);
    if (!raw && fed_ > most_bytes)
        return std::unexpected(Bad::too_large);
    if (!raw)
        return std::nullopt;
    const std::unique_ptr<void, void (*)(void*)> reply{raw, freeReplyObject};
    return converted(*static_cast<redisReply*>(raw));
}

void append_command(std::string& wire, std::initializer_list<std::string_view> words)
{
    wire += '*' + std::to_string(words.size()) + "\r\n";
    for (const auto word : words) {
        wire += '$' + std::to_string(word.size()) + "\r\n";
        wire.append(word) += "\r\n";
    }
}

}  // namespace keepwell
