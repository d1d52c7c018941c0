#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace keepwell {

// A piece of markup of our own. Only a literal in the source can be one, so that no text from outside is ever
// taken for markup.
class Literal {
public:
    template <std::size_t size>
    consteval Literal(const char (&text)[size])  // NOLINT(google-explicit-constructor): a literal is one
        : text_{text, size - 1}
    {
    }
    constexpr std::string_view text() const { return text_; }

private:
    std::string_view text_;
};

// HTML or SVG being written: literals go in as they are, every other text escaped, so that it is the same
// between tags and in quoted attributes. Control characters and what is not UTF-8 become U+FFFD.
class Markup {
public:
    explicit Markup(std::string& out) : out_{out} {}

    Markup& operator<<(Literal literal)
    {
        out_ += literal.text();
        return *this;
    }
    template <class Text>
        requires std::same_as<Text, std::string> || std::same_as<Text, std::string_view>
    Markup& operator<<(const Text& text)
    {
        escape(text);
        return *this;
    }
    template <std::integral Number>
        requires(!std::same_as<Number, char> && !std::same_as<Number, bool>)
    Markup& operator<<(Number number)
    {
        out_ += std::to_string(number);
        return *this;
    }

private:
    void escape(std::string_view text);

    std::string& out_;
};

// One segment of a URL's path, percent-encoded (RFC 3986 §2.3).
std::string url_segment(std::string_view text);

// Lengths of time for people: "850 µs", "2.3 ms", "1.24 s".
std::string length_text(std::chrono::nanoseconds length);
// How long ago: "12 s", "4 min", "3 h", "2 d". The page's script counts on in the same way.
std::string age_text(std::chrono::nanoseconds age);

}  // namespace keepwell
