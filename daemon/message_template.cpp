#include "daemon/message_template.hpp"

#include "daemon/problem.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace keepwell {

namespace {

constexpr std::size_t longest_template = 64 << 10;
constexpr std::array<std::string_view, 5> filters{"limit", "html", "json", "url", "raw"};

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view blanks = " \t\r\n";
    const auto begin = text.find_first_not_of(blanks);
    return begin == text.npos ? std::string_view{}
                              : text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

std::unexpected<std::string> wrong(std::string_view what, std::string_view word,
                                   std::span<const std::string_view> known)
{
    const auto hint = did_you_mean(word, known);
    return std::unexpected(fmt::format("{} {}{}{}", what, shown(word), hint.empty() ? "" : "; ", hint));
}

std::span<const std::string_view> names()
{
    static constexpr auto all = [] {
        std::array<std::string_view, message_names.size()> found{};
        std::ranges::transform(message_names, found.begin(), &MessageName::name);
        return found;
    }();
    return all;
}

// The first `most` characters, and an ellipsis when there are more.
std::string cut(std::string text, std::int64_t most)
{
    std::size_t at = 0;
    for (; most > 0 && at < text.size(); --most)
        at += std::max<std::size_t>(utf8_length(std::string_view{text}.substr(at)), 1);
    if (at < text.size())
        text.replace(at, text.npos, "…");
    return text;
}

std::string with_entities(std::string_view text)
{
    std::string out;
    for (const char c : text)
        out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
    return out;
}

bool is_unreserved(char c)  // RFC 3986, 2.3
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"-._~"}.contains(c);
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string json_escaped(char c)
{
    if (c == '"' || c == '\\')
        return {'\\', c};
    if (c == '\n')
        return "\\n";
    return is_control(c) ? fmt::format("\\u{:04x}", static_cast<unsigned char>(c)) : std::string(1, c);
}

}  // namespace

std::string escaped(std::string_view value, Escape how)
{
    if (how == Escape::none)
        return std::string{value};
    std::string out;
    for (const char c : value)
        switch (how) {
            case Escape::json: out += json_escaped(c); break;
            case Escape::url:
                out += is_unreserved(c) ? std::string(1, c)
                                        : fmt::format("%{:02X}", static_cast<unsigned char>(c));
                break;
            default: out += is_control(c) ? ' ' : c; break;
        }
    return out;
}

std::expected<MessageTemplate, std::string> MessageTemplate::parse(std::string_view text)
{
    if (text.size() > longest_template)
        return std::unexpected("expected a template of at most 64 KiB");
    MessageTemplate made;
    made.text_ = text;
    for (std::size_t at = 0; at <= text.size();) {
        const auto open = text.find("{{", at);
        const auto close = open == text.npos ? open : text.find("}}", open);
        if (open != text.npos && close == text.npos)
            return std::unexpected("a \"{{\" is not closed by \"}}\"");
        Piece piece;
        if (open != text.npos) {
            auto hole = parse_hole(text.substr(open + 2, close - open - 2));
            if (!hole)
                return std::unexpected(hole.error());
            piece = *std::move(hole);
        }
        piece.literal = text.substr(at, open == text.npos ? open : open - at);
        made.pieces_.push_back(std::move(piece));
        at = open == text.npos ? text.size() + 1 : close + 2;
    }
    return made;
}

std::expected<MessageTemplate::Piece, std::string> MessageTemplate::parse_hole(std::string_view inside)
{
    auto bar = inside.find('|');
    Piece piece{.name = std::string{trimmed(inside.substr(0, bar))}};
    if (std::ranges::find(names(), piece.name) == names().end())
        return wrong("there is no name", piece.name, names());
    while (bar != inside.npos) {
        if (!piece.by_default)
            return std::unexpected("json, url and raw stand last");
        inside.remove_prefix(bar + 1);
        bar = inside.find('|');
        const auto filter = trimmed(inside.substr(0, bar));
        const auto word = filter.substr(0, filter.find_first_of(" \t"));
        const auto rest = trimmed(filter.substr(word.size()));
        std::int64_t most = 0;
        const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), most);
        const bool is_number = read.ec == std::errc{} && read.ptr == rest.data() + rest.size() && most > 0;
        if (std::ranges::find(filters, word) == filters.end())
            return wrong("there is no filter", word, filters);
        if (word == "limit" ? !is_number : !rest.empty())
            return std::unexpected(word == "limit" ? "limit needs a number of characters, as in \"limit 200\""
                                                   : fmt::format("nothing stands after {}", word));
        if (word == "limit" || word == "html") {
            piece.steps.push_back(word == "html" ? to_html : most);
            continue;
        }
        piece.by_default = false;
        piece.escape = word == "json" ? Escape::json : word == "url" ? Escape::url : Escape::none;
    }
    return piece;
}

std::string MessageTemplate::render(const Message& message, Escape by_default) const
{
    std::string out;
    for (const auto& piece : pieces_)
        out += piece.literal + (piece.name.empty() ? std::string{} : filled(piece, message, by_default));
    return out;
}

std::string MessageTemplate::filled(const Piece& piece, const Message& message, Escape by_default)
{
    const auto found = message.find(piece.name);
    auto value = found == message.end() ? std::string{} : valid_utf8(found->second);
    if (value.empty() && std::ranges::find(message_names, piece.name, &MessageName::name)->is_number)
        value = "0";
    for (const auto step : piece.steps)
        value = step == to_html ? with_entities(value) : cut(std::move(value), step);
    return escaped(value, piece.by_default ? by_default : piece.escape);
}

}  // namespace keepwell
