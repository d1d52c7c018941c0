#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// A password, token or key. It can be compared and used, but it has no text(): what prints a spec, a log line
// or a page shows `<secret>`. Read from the configuration or, under NAME_file, from a file when it is loaded.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_{std::move(value)} {}

    static constexpr std::string_view type_name = "secret";
    static std::expected<Secret, std::string> parse(std::string_view text)
    {
        return Secret{std::string{text}};
    }
    static std::string text() { return "<secret>"; }

    bool empty() const { return value_.empty(); }
    const std::string& reveal() const { return value_; }  // only where it goes to the wire
    bool operator==(const Secret&) const = default;

private:
    std::string value_{};
};

}  // namespace keepwell
