#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The part of MySQL's client/server protocol, version 10, that a probe speaks (MySQL Server Doxygen
// documentation, "Client/Server Protocol"; MariaDB knowledge base, "Client/Server Protocol"). Pure: payloads
// of packets in, values and payloads out; nonsense throws Failure with protocol_error.
namespace keepwell::mysql {

// A packet is a payload behind three bytes of its length and one that counts the packets of a command.
inline constexpr std::size_t header_size = 4;
struct Header {
    std::size_t length = 0;
    std::uint8_t number = 0;
};
Header parse_header(std::string_view bytes);
std::string packet(std::uint8_t number, std::string_view payload);

// What a server says first.
struct Greeting {
    std::string version{};
    std::string scramble{};  // 20 bytes that our proof of the password is made of
    std::string plugin{};    // how it would like us to authenticate
    bool tls = false;        // it can
    bool mariadb = false;
};
Greeting parse_greeting(std::string_view payload);

// Who we are. Never more capabilities than a probe needs: no LOCAL INFILE, no multiple statements, no
// compression.
struct Login {
    std::string_view user{};
    std::string_view database{};
    std::string_view proof{};
    std::string_view plugin{};
    bool tls = false;
};
std::string tls_request(const Login& login);
std::string login_request(const Login& login);

// What a payload is, by its first byte and, for the ambiguous ones, its length.
bool is_ok(std::string_view payload);
bool is_error(std::string_view payload);
bool is_end(std::string_view payload);        // of columns or of rows
bool is_switch(std::string_view payload);     // of the way to authenticate
bool is_more_data(std::string_view payload);  // for the way to authenticate

struct ServerError {
    std::uint16_t code = 0;
    std::string_view text{};
};
ServerError parse_error(std::string_view payload);

struct Switch {
    std::string plugin{};
    std::string scramble{};
};
Switch parse_switch(std::string_view payload);

// A result: how many columns it has, its first column's value in a row (nothing: NULL), whether another
// follows.
std::uint64_t parse_column_count(std::string_view payload);
std::optional<std::string> parse_first_column(std::string_view row);
bool more_results_after(std::string_view ok_or_end);

// The ways to authenticate that we know, and the proof that each wants first.
inline constexpr std::string_view native = "mysql_native_password";
inline constexpr std::string_view caching_sha2 = "caching_sha2_password";
inline constexpr std::string_view sha256_plugin = "sha256_password";
inline constexpr std::string_view clear = "mysql_clear_password";
std::optional<std::string> proof(std::string_view plugin, const std::string& password,
                                 std::string_view scramble, bool tls);

// The password for caching_sha2_password and sha256_password without TLS, under the server's public key.
std::string encrypted(const std::string& password, std::string_view scramble, std::string_view public_key);

}  // namespace keepwell::mysql
