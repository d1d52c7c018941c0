#include "exporters/door/bcrypt.hpp"

#include <crypt.h>

#include <algorithm>
#include <memory>

namespace keepwell {

namespace {

// crypt(5): a prefix, two digits of cost, 22 characters of salt and 31 of hash.
constexpr std::size_t hash_length = 60;
constexpr std::size_t cost_begins = 4;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool has_bcrypt_form(std::string_view text)
{
    const bool prefix = text.starts_with("$2a$") || text.starts_with("$2b$") || text.starts_with("$2y$");
    if (!prefix || text.size() != hash_length || !is_digit(text[4]) || !is_digit(text[5]) || text[6] != '$')
        return false;
    return std::ranges::all_of(text.substr(7), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/';
    });
}

}  // namespace

std::expected<BcryptHash, std::string> BcryptHash::parse(std::string_view text)
{
    BcryptHash parsed{std::string{text}};
    if (!has_bcrypt_form(text))
        return std::unexpected(
            "not a bcrypt hash; `htpasswd -nBC 10 NAME` asks for a password and makes one");
    if (parsed.cost() < 4 || parsed.cost() > highest_cost)
        return std::unexpected("the cost of a bcrypt hash may be 4 to " + std::to_string(highest_cost) +
                               ", not " + std::to_string(parsed.cost()));
    return parsed;
}

int BcryptHash::cost() const { return (hash[cost_begins] - '0') * 10 + (hash[cost_begins + 1] - '0'); }

bool is_password(const std::string& password, const BcryptHash& hash)
{
    const auto data = std::make_unique<crypt_data>();
    const char* made = ::crypt_r(password.c_str(), hash.hash.c_str(), data.get());
    // What has a NUL byte would be cut off there; it costs as much, and is wrong.
    return made && !password.contains('\0') && hash.hash == made;
}

}  // namespace keepwell
