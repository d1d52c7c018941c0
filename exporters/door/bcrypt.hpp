#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// A password's bcrypt hash, `$2y$10$...`, as `htpasswd -B` and Python's bcrypt make it. Shown to nobody.
struct BcryptHash {
    std::string hash{};

    static constexpr std::string_view type_name = "bcrypt hash";
    static constexpr int highest_cost = 16;  // each step doubles the time; 16 takes seconds already
    static std::expected<BcryptHash, std::string> parse(std::string_view text);
    static std::string text() { return "<secret>"; }
    int cost() const;
    bool operator==(const BcryptHash&) const = default;
};

// Is this the password? Takes as long as the hash's cost says, which is the point of it: tenths of a second
// at 11. May be called on any thread. As everywhere with bcrypt, only the first 72 bytes of a password count.
bool is_password(const std::string& password, const BcryptHash& hash);

}  // namespace keepwell
