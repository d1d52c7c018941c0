// What a Redis server says, and what somebody has written to a heartbeat's key: no crash, no growth, and the
// same replies however the bytes come. The first byte says how many come at a time; 0: a key's value.
#include "probes/heartbeat.hpp"
#include "probes/redis_reply.hpp"
#include "probes/redis_session.hpp"
#include "tests/fuzz/require.hpp"

using namespace keepwell;
using test::require;

namespace {

std::string shown(const RedisReply& reply)
{
    std::string text = std::to_string(static_cast<int>(reply.kind)) + ":" + reply.text + ":" +
                       std::to_string(reply.integer) + "[";
    for (const auto& element : reply.elements)
        text += shown(element) + ",";
    return text + "]";
}

// All replies up to the first that is bad, and whether there was one. What comes after too much is not read.
std::string replies_in(std::string_view bytes, std::size_t piece)
{
    RedisReplies replies;
    std::string all;
    for (;;) {
        for (auto reply = replies.next();; reply = replies.next()) {
            if (!reply)
                return all + "!";
            if (!*reply)
                break;
            all += shown(**reply);
            if ((*reply)->kind == RedisReply::Kind::error)
                require(verdict_of_error((*reply)->text).outcome == Outcome::rejected);
        }
        if (bytes.empty())
            return all;
        replies.feed(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
}

void read_beat(std::string_view text)
{
    if (const auto time = beat_time(text))
        require(*time >= 0 && *time <= 9'000'000'000'000'000'000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    if (data[0] == 0)
        read_beat(rest);
    else
        require(replies_in(rest, data[0]) == replies_in(rest, 1));
    return 0;
}
