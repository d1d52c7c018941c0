#include "probes/mysql_protocol.hpp"

#include "probes/digest.hpp"
#include "probes/probe.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell::mysql {

namespace {

enum Capability : std::uint32_t {
    long_password = 1 << 0,
    long_flag = 1 << 2,
    connect_with_database = 1 << 3,
    protocol_41 = 1 << 9,
    ssl = 1 << 11,
    transactions = 1 << 13,
    secure_connection = 1 << 15,
    multiple_results = 1 << 17,
    plugin_auth = 1 << 19,
    connect_attributes = 1 << 20,
};

constexpr std::size_t scramble_size = 20;
constexpr std::uint8_t utf8mb4 = 45;
constexpr std::uint16_t more_results = 8;  // of the status flags
constexpr unsigned char null_value = 0xfb;

Failure nonsense(std::string what) { return Failure{rejected(Reason::protocol_error, std::move(what))}; }

unsigned char first(std::string_view payload)
{
    return payload.empty() ? 0xfd : static_cast<unsigned char>(payload[0]);
}

// Takes what it reads off the front; nonsense when there is not enough.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_{bytes} {}

    std::string_view bytes(std::size_t count)
    {
        if (rest_.size() < count)
            throw nonsense("a packet that ends too early");
        const auto taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    // Little endian, of so many bytes.
    std::uint64_t number(std::size_t size)
    {
        std::uint64_t value = 0;
        const auto taken = bytes(size);
        for (std::size_t i = size; i-- > 0;)
            value = value << 8 | static_cast<unsigned char>(taken[i]);
        return value;
    }
    // A number that says in its first byte how long it is; nothing: NULL.
    std::optional<std::uint64_t> length()
    {
        const auto size = number(1);
        switch (size) {
            case null_value: return std::nullopt;
            case 0xfc: return number(2);
            case 0xfd: return number(3);
            case 0xfe: return number(8);
            case 0xff: throw nonsense("a length that is none");
            default: return size;
        }
    }
    // Up to a NUL, or to the end.
    std::string_view text()
    {
        const auto end = std::min(rest_.find('\0'), rest_.size());
        const auto taken = bytes(end);
        rest_.remove_prefix(rest_.empty() ? 0 : 1);
        return taken;
    }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

void append_number(std::string& bytes, std::uint64_t number, std::size_t size)
{
    for (std::size_t i = 0; i < size; ++i)
        bytes += static_cast<char>(number >> (8 * i));
}

// Shorter than 251 bytes, as all that we send is.
void append_counted(std::string& bytes, std::string_view text)
{
    append_number(bytes, text.size(), 1);
    bytes += text;
}

std::string different(std::string_view left, std::string_view right)
{
    std::string bytes{left};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ right[i % right.size()]);
    return bytes;
}

std::string prologue(const Login& login)
{
    constexpr std::uint32_t longest_packet = 1 << 24;
    std::uint32_t capabilities = long_password | long_flag | protocol_41 | transactions | secure_connection |
                                 multiple_results | plugin_auth | connect_attributes;
    if (!login.database.empty())
        capabilities |= connect_with_database;
    if (login.tls)
        capabilities |= ssl;
    std::string bytes;
    append_number(bytes, capabilities, 4);
    append_number(bytes, longest_packet, 4);
    append_number(bytes, utf8mb4, 1);
    bytes.append(23, '\0');
    return bytes;
}

}  // namespace

Header parse_header(std::string_view bytes)
{
    Reader reader{bytes};
    const auto length = reader.number(3);
    return {length, static_cast<std::uint8_t>(reader.number(1))};
}

std::string packet(std::uint8_t number, std::string_view payload)
{
    std::string bytes;
    append_number(bytes, payload.size(), 3);
    append_number(bytes, number, 1);
    return bytes.append(payload);
}

Greeting parse_greeting(std::string_view payload)
{
    Reader reader{payload};
    if (const auto version = reader.number(1); version != 10)
        throw nonsense(fmt::format("a greeting of protocol {}", version));
    Greeting greeting{.version = std::string{reader.text()}};
    reader.bytes(4);  // the connection's number
    greeting.scramble = reader.bytes(8);
    reader.bytes(1);
    std::uint64_t capabilities = reader.number(2);
    reader.bytes(3);  // character set and status
    capabilities |= reader.number(2) << 16;
    reader.bytes(11);  // the scramble's length, which is always the same, and reserved ones
    constexpr auto needed = protocol_41 | secure_connection;
    if ((capabilities & needed) != needed)
        throw nonsense("a server older than MySQL 4.1");
    greeting.scramble += reader.bytes(scramble_size - greeting.scramble.size());
    reader.text();  // the NUL behind it
    greeting.plugin = capabilities & plugin_auth ? reader.text() : native;
    greeting.tls = (capabilities & ssl) != 0;
    greeting.mariadb = greeting.version.contains("MariaDB");
    return greeting;
}

std::string tls_request(const Login& login) { return prologue(login); }

std::string login_request(const Login& login)
{
    auto bytes = prologue(login);
    bytes.append(login.user).push_back('\0');
    append_counted(bytes, login.proof);
    if (!login.database.empty())
        bytes.append(login.database).push_back('\0');
    bytes.append(login.plugin).push_back('\0');
    std::string attributes;
    append_counted(attributes, "program_name");
    append_counted(attributes, "keepwell");
    append_counted(bytes, attributes);
    return bytes;
}

bool is_ok(std::string_view payload) { return first(payload) == 0x00; }
bool is_error(std::string_view payload) { return first(payload) == 0xff; }
bool is_end(std::string_view payload) { return first(payload) == 0xfe && payload.size() < 9; }
bool is_switch(std::string_view payload) { return first(payload) == 0xfe; }
bool is_more_data(std::string_view payload) { return first(payload) == 0x01; }

ServerError parse_error(std::string_view payload)
{
    Reader reader{payload};
    reader.bytes(1);
    ServerError error{.code = static_cast<std::uint16_t>(reader.number(2))};
    if (reader.rest().starts_with('#'))  // and five characters of SQLSTATE, but not before the login
        reader.bytes(6);
    error.text = reader.rest();
    return error;
}

Switch parse_switch(std::string_view payload)
{
    Reader reader{payload};
    reader.bytes(1);
    Switch wanted{.plugin = std::string{reader.text()}};
    if (wanted.plugin.empty())
        throw Failure{
            rejected(Reason::authentication_failed, "the server wants a password of before MySQL 4.1")};
    wanted.scramble = reader.rest().substr(0, scramble_size);
    return wanted;
}

std::uint64_t parse_column_count(std::string_view payload)
{
    Reader reader{payload};
    const auto count = reader.length();
    if (!count)  // LOCAL INFILE: we said that we do not do that
        throw nonsense("the server asks for a file of ours");
    return *count;
}

std::optional<std::string> parse_first_column(std::string_view row)
{
    Reader reader{row};
    const auto size = reader.length();
    if (!size)
        return std::nullopt;
    return std::string{reader.bytes(*size)};
}

bool more_results_after(std::string_view ok_or_end)
{
    Reader reader{ok_or_end};
    const bool end = reader.number(1) == 0xfe;
    if (end) {
        reader.bytes(2);  // warnings
    } else {
        reader.length();  // rows and
        reader.length();  // number of the last one
    }
    return (reader.number(2) & more_results) != 0;
}

std::optional<std::string> proof(std::string_view plugin, const std::string& password,
                                 std::string_view scramble, bool tls)
{
    if (plugin == native || plugin == caching_sha2) {
        if (password.empty())
            return "";
        if (scramble.size() != scramble_size)
            throw nonsense("a scramble that is too short");
        if (plugin == native)
            return different(sha1(password), sha1(std::string{scramble} + sha1(sha1(password))));
        return different(sha256(password), sha256(sha256(sha256(password)) + std::string{scramble}));
    }
    if (plugin == sha256_plugin && (tls || password.empty()))
        return password + '\0';
    if (plugin == sha256_plugin)
        return "\1";  // asks for the public key
    if (plugin == clear && tls)
        return password + '\0';
    return std::nullopt;
}

std::string encrypted(const std::string& password, std::string_view scramble, std::string_view public_key)
{
    if (scramble.size() != scramble_size)
        throw nonsense("a scramble that is too short");
    auto secret = rsa_oaep(public_key, different(password + '\0', scramble));
    if (!secret)
        throw nonsense("a public key that is none");
    return *std::move(secret);
}

}  // namespace keepwell::mysql
