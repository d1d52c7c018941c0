#include "probes/postgres_protocol.hpp"

#include "probes/probe.hpp"

#include <fmt/format.h>

#include <charconv>

namespace keepwell::postgres {

namespace {

constexpr std::uint32_t protocol_3_0 = 3 << 16;
constexpr std::size_t header_size = 5;            // type and length
constexpr std::uint32_t longest_message = 30000;  // libpq refuses longer ones during start-up, too

Failure nonsense(std::string what) { return Failure{rejected(Reason::protocol_error, std::move(what))}; }

void append_number(std::string& bytes, std::uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>(number >> shift);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at)
{
    std::uint32_t number = 0;
    for (std::size_t i = at; i < at + 4; ++i)
        number = number << 8 | static_cast<unsigned char>(bytes[i]);
    return number;
}

// The text up to its NUL, taken off the front; all of it when there is none.
std::string_view take_text(std::string_view& bytes)
{
    const auto end = bytes.find('\0');
    const auto text = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    return text;
}

}  // namespace

std::string startup_message(const std::string& user, const std::string& database)
{
    std::string body;
    append_number(body, protocol_3_0);
    for (const std::string_view word :
         {"user", user.c_str(), "database", database.c_str(), "application_name", "keepwell"})
        body.append(word).push_back('\0');
    body.push_back('\0');
    std::string message;
    append_number(message, static_cast<std::uint32_t>(body.size() + 4));
    return message + body;
}

std::optional<Message> take_message(std::string_view& bytes)
{
    if (bytes.empty())
        return std::nullopt;
    const char type = bytes.front();
    if (!std::string_view{"RENvSKZ"}.contains(type))
        throw nonsense(fmt::format("expected an authentication request, got byte {:#04x}",
                                   static_cast<unsigned char>(type)));
    if (bytes.size() < header_size)
        return std::nullopt;
    const auto length = number_at(bytes, 1);
    if (type == 'E' && length > longest_message) {  // protocol 2: the text follows at once
        const auto end = bytes.find('\0');
        if (end == std::string_view::npos && bytes.size() < longest_message)
            return std::nullopt;
        const Message message{type, bytes.substr(1, end - 1)};
        bytes = {};
        return message;
    }
    if (length < 4 || length > longest_message)
        throw nonsense(fmt::format("a message '{}' of {} bytes", type, length));
    if (bytes.size() < length + 1)
        return std::nullopt;
    const Message message{type, bytes.substr(header_size, length - 4)};
    bytes.remove_prefix(length + 1);
    return message;
}

ServerError parse_error(std::string_view body)
{
    // Fields are a letter and a text each. Only C, the code, is sure to come; protocol 2 has no fields at
    // all.
    ServerError error;
    auto rest = body;
    while (!rest.empty() && rest.front() != '\0') {
        const char field = rest.front();
        rest.remove_prefix(1);
        const auto text = take_text(rest);
        if (field == 'C' && text.size() == 5)
            error.sqlstate = text;
        if (field == 'M')
            error.text = text;
    }
    if (error.sqlstate.empty())
        error.text = take_text(body);
    return error;
}

bool parse_authentication(std::string_view body)
{
    constexpr std::uint32_t last_known_request = 12;
    if (body.size() < 4 || number_at(body, 0) > last_known_request)
        throw nonsense("an authentication request of an unknown kind");
    return number_at(body, 0) == 0;
}

std::string slow_authentication(std::string_view bytes)
{
    constexpr std::uint32_t gssapi = 7;
    constexpr std::uint32_t sspi = 9;
    constexpr std::uint32_t sasl_continue = 11;
    constexpr std::int64_t most_rounds = 100'000;  // PostgreSQL's default is 4096, which takes some 3 ms
    if (bytes.size() < header_size + 4 || bytes.front() != 'R')
        return {};
    const auto request = number_at(bytes, header_size);
    if (request == gssapi || request == sspi)
        return "GSSAPI, which keepwell does not speak";
    const auto rounds = bytes.find(",i=");
    if (request != sasl_continue || rounds == std::string_view::npos)
        return {};
    std::int64_t count = 0;
    std::from_chars(bytes.data() + rounds + 3, bytes.data() + bytes.size(), count);
    return count > most_rounds ? fmt::format("{} rounds of SCRAM", count) : "";
}

}  // namespace keepwell::postgres
