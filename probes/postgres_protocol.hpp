#pragma once

#include <optional>
#include <string>
#include <string_view>

// The little of PostgreSQL's protocol 3.0 that a readiness check speaks (PostgreSQL manual, "Frontend/Backend
// Protocol"). Pure: bytes in, values out; nonsense throws Failure with protocol_error.
namespace keepwell::postgres {

// The first packet of a client, which names itself `keepwell`.
std::string startup_message(const std::string& user, const std::string& database);

// The polite end of a session.
inline constexpr std::string_view terminate{"X\0\0\0\4", 5};

struct Message {
    char type = 0;
    std::string_view body{};
};

// Takes the first whole message off the front of `bytes`; nothing while it is not complete.
std::optional<Message> take_message(std::string_view& bytes);

// An ErrorResponse. A server that could not start a process for us answers in protocol 2: text without a
// code.
struct ServerError {
    std::string sqlstate{};  // five characters, or empty
    std::string text{};
};
ServerError parse_error(std::string_view body);

// Whether an Authentication message is well-formed and says that we are in already.
bool parse_authentication(std::string_view body);

// What makes the authentication that `bytes` begin to ask for too slow for an event loop, in words; empty:
// nothing.
std::string slow_authentication(std::string_view bytes);

inline constexpr std::string_view cannot_connect_now = "57P03";

}  // namespace keepwell::postgres
