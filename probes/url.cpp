#include "probes/url.hpp"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::size_t shown_at_most = 200;

std::uint16_t default_port(bool secure) { return secure ? 443 : 80; }

std::string lower(std::string_view text)
{
    std::string result{text};
    for (auto& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string bracketed(const std::string& host) { return host.contains(':') ? "[" + host + "]" : host; }

// Printable ASCII only.
bool is_url_character(char c) { return c > ' ' && c < 0x7f; }

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

bool has_port(std::string_view authority)
{
    const auto bracket = authority.rfind(']');
    return authority.find(':', bracket == authority.npos ? 0 : bracket) != authority.npos;
}

}  // namespace

std::expected<Url, std::string> Url::parse(std::string_view text, std::string_view credentials_go)
{
    Url url;
    const auto scheme_end = text.find("://");
    const auto scheme = scheme_end == text.npos ? std::string{} : lower(text.substr(0, scheme_end));
    if (scheme != "http" && scheme != "https")
        return std::unexpected("expected a URL that begins with http:// or https://");
    url.secure_ = scheme == "https";
    auto rest = text.substr(scheme_end + 3);
    const auto authority = rest.substr(0, rest.find_first_of("/?#"));
    if (!std::ranges::all_of(authority, is_ascii))
        return std::unexpected("a host name is ASCII: write it in its xn-- form");
    if (!std::ranges::all_of(text, is_url_character))
        return std::unexpected("a URL has no spaces, control or non-ASCII characters: write them as %XX");
    rest = rest.substr(0, rest.find('#'));
    url.target_ = rest.substr(authority.size());
    if (!url.target_.starts_with('/'))
        url.target_.insert(0, "/");
    if (authority.contains('@'))
        return std::unexpected("credentials do not belong into a URL, which is logged: use " +
                               std::string{credentials_go});

    std::string with_port{lower(authority)};
    if (!has_port(with_port))
        with_port += ":" + std::to_string(default_port(url.secure_));
    auto address = Address::parse(with_port);
    if (!address)
        return std::unexpected("after " + scheme + "://: " + address.error());
    url.address_ = *std::move(address);
    return url;
}

std::string Url::authority() const
{
    auto result = bracketed(address_.host);
    if (address_.port != default_port(secure_))
        result += ":" + std::to_string(address_.port);
    return result;
}

std::string Url::origin() const
{
    return empty() ? std::string{} : (secure_ ? "https://" : "http://") + authority();
}

std::string Url::whole() const { return origin() + target_; }

std::string Url::text() const
{
    auto result = origin() + target_.substr(0, target_.find('?'));
    if (result.size() > shown_at_most)
        result.replace(shown_at_most - 3, result.npos, "...");
    return result;
}

Url Url::with_host(std::string host) const
{
    auto result = *this;
    result.address_.host = std::move(host);
    return result;
}

}  // namespace keepwell
