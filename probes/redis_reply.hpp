#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace keepwell {

// One reply of a Redis server (RESP 2).
struct RedisReply {
    enum class Kind : std::uint8_t { status, error, text, integer, array, nil };
    Kind kind = Kind::nil;
    std::string text{};        // of a status, an error or a text
    std::int64_t integer = 0;  // of an integer
    std::vector<RedisReply> elements{};
};

// Bytes from a server become replies, by hiredis. Bounded: a server cannot make it grow.
class RedisReplies {
public:
    enum class Bad : std::uint8_t { protocol, too_large };

    RedisReplies();
    ~RedisReplies();
    RedisReplies(const RedisReplies&) = delete;
    RedisReplies& operator=(const RedisReplies&) = delete;

    void feed(std::string_view bytes);

    // The next whole reply; nothing when more bytes are needed.
    std::expected<std::optional<RedisReply>, Bad> next();

private:
    std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
    std::size_t fed_ = 0;
    bool too_deep_ = false;  // set from within hiredis
};

// Appends one command as a server wants it.
void append_command(std::string& wire, std::initializer_list<std::string_view> words);

}  // namespace keepwell
