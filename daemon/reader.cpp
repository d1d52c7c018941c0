#include "daemon/reader.hpp"

#include "probes/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t largest_secret = 64 << 10;

// A secret's file without its trailing newline; the error says what is wrong with it.
std::expected<std::string, std::string> contents_of(const std::string& path)
{
    // Without blocking: a FIFO has no end that we could wait for.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return std::unexpected(std::generic_category().message(errno));
    std::string text(largest_secret + 1, '\0');
    struct stat about{};
    const bool regular = ::fstat(file, &about) == 0 && S_ISREG(about.st_mode);
    const auto size = regular ? ::read(file, text.data(), text.size()) : 0;
    const auto error = errno;
    ::close(file);
    if (!regular)
        return std::unexpected("not a regular file");
    if (size < 0)
        return std::unexpected(std::generic_category().message(error));
    text.resize(static_cast<std::size_t>(size));
    if (text.ends_with('\n'))
        text.pop_back();
    if (text.ends_with('\r'))
        text.pop_back();
    if (text.empty())
        return std::unexpected("it is empty");
    if (text.size() >= largest_secret)
        return std::unexpected("it is larger than 64 KiB");
    if (text.contains('\0'))
        return std::unexpected("it holds a NUL byte");
    return text;
}

std::vector<std::string_view> names_in(std::span<const Row> rows, std::span<const std::string_view> more)
{
    std::vector<std::string_view> names;
    for (const auto& row : rows) {
        names.push_back(row.name);
        if (row.shape->secret)
            names.push_back(row.file_name);
    }
    names.insert(names.end(), more.begin(), more.end());
    return names;
}

// Words such as {instance} begin a mapping in YAML unless they are in quotes.
bool is_unquoted_placeholder(const Node& child)
{
    return child.is_null() && (child.key == "instance" || child.key == "address" || child.key == "service" ||
                               child.key == "project");
}

// Whether a variable somewhere in it could not be replaced, which is told already.
bool is_broken(const Node& node) { return node.broken || std::ranges::any_of(node.children, is_broken); }

// Whether words for people speak of a key (`url`, also as URL), or of several of its kind (`types`).
bool speak_of(std::string_view words, std::string_view key)
{
    const auto is_word = [](char c) {
        return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    };
    const auto same = [](char one, char other) { return one == other || (one | 32) == other; };
    for (auto from = words.begin(); from != words.end();) {
        const auto at = std::search(from, words.end(), key.begin(), key.end(), same);
        if (at == words.end())
            return false;
        if (at == words.begin() || !is_word(at[-1]))
            return true;
        from = at + 1;
    }
    return false;
}

// Words of others about a node, who do not know what came from variables.
void hide_variables(const Node& node, std::string& words)
{
    if (node.from_variable && !node.text.empty())
        for (std::size_t at = 0; (at = words.find(node.text, at)) != words.npos; at += 3)
            words.replace(at, node.text.size(), "***");
    for (const auto& child : node.children)
        hide_variables(child, words);
}

}  // namespace

void Reader::complain(Mark mark, std::string text, std::string suggestion, Severity severity)
{
    complaints_ += severity == Severity::error ? 1 : 0;
    const bool no_room = severity == Severity::warning && problems_.size() >= most_problems / 2;
    if (no_room || problems_.size() > most_problems)
        return;
    if (problems_.size() == most_problems) {
        problems_.push_back({.file = file_,
                             .text = fmt::format("more than {} problems", most_problems),
                             .suggestion = "only the first ones are told"});
        return;
    }
    problems_.push_back({.severity = severity,
                         .file = file_,
                         .mark = mark,
                         .path = path_.text(),
                         .text = std::move(text),
                         .suggestion = std::move(suggestion)});
}

void Reader::warn(Mark mark, std::string text, std::string suggestion)
{
    complain(mark, std::move(text), std::move(suggestion), Severity::warning);
}

void Reader::expected(const Node& node, std::string_view what, std::string suggestion)
{
    auto text = std::string{what};
    if (text.starts_with("expected"))
        text += ", found " + found(node);
    complain(node.is_null() ? node.place() : node.mark, std::move(text), std::move(suggestion));
}

void Reader::unknown_key(const Node& child, std::span<const std::string_view> known)
{
    const auto step = enter(child.key);
    complain(child.key_mark, "unknown key " + shown(child.key),
             is_unquoted_placeholder(child) ? fmt::format("put \"{{{}}}\" in quotes", child.key)
                                            : did_you_mean(child.key, known));
}

bool Reader::read_boolean(const Node& node, bool& value)
{
    static constexpr std::array<std::string_view, 3> yes{"true", "True", "TRUE"};
    static constexpr std::array<std::string_view, 3> no{"false", "False", "FALSE"};
    const bool is_yes = node.is_scalar() && std::ranges::find(yes, node.text) != yes.end();
    const bool is_no = node.is_scalar() && std::ranges::find(no, node.text) != no.end();
    if (is_yes || is_no)
        value = is_yes;
    else
        expected(node, "expected true or false");
    return is_yes || is_no;
}

bool Reader::read_integer(const Node& node, std::int64_t& value, const Bounds& bounds)
{
    std::int64_t number = 0;
    const auto* last = node.text.data() + node.text.size();
    const auto [end, error] = std::from_chars(node.text.data(), last, number);
    const bool is_number = node.is_scalar() && end == last && error == std::errc{};
    if (is_number && number >= bounds.least && number <= bounds.most) {
        value = number;
        return true;
    }
    expected(node, "expected a whole number" + limits_in_words(bounds, Shape::Measure::plain));
    return false;
}

bool Reader::read_number(const Node& node, double& value)
{
    double number = 0;
    const auto* last = node.text.data() + node.text.size();
    const auto [end, error] = std::from_chars(node.text.data(), last, number, std::chars_format::fixed);
    if (node.is_scalar() && end == last && error == std::errc{} && std::isfinite(number)) {
        value = number;
        return true;
    }
    expected(node, "expected a number");
    return false;
}

bool Reader::read_text(const Node& node, std::string& value, std::string_view type_name)
{
    if (node.is_scalar()) {
        value = node.text;
        return true;
    }
    const auto& only = node.children;
    const bool placeholder = only.size() == 1 && is_unquoted_placeholder(only.front());
    expected(node, fmt::format("expected {}{}", type_name == "text" ? "" : "a ", type_name),
             placeholder ? fmt::format("put \"{{{}}}\" in quotes", only.front().key) : "");
    return false;
}

// A list of texts as one text with commas.
bool Reader::read_joined(const Node& list, std::string& value)
{
    const auto before = complaints_;
    for (std::size_t i = 0; i < list.children.size(); ++i) {
        const auto step = enter(i);
        std::string item;
        if (read_text(list.children[i], item, "text"))
            value += (i == 0 ? "" : ",") + item;
    }
    return complaints_ == before;
}

const std::string_view* Reader::read_choice(const Node& node, std::span<const std::string_view> names)
{
    const auto name = node.is_scalar() ? std::ranges::find(names, node.text) : names.end();
    if (name != names.end())
        return &*name;
    const auto near = node.is_scalar() ? nearest(node.text, names) : std::string_view{};
    expected(node, fmt::format("expected {}", fmt::join(names, ", ")),
             near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
    return nullptr;
}

bool Reader::in_range(const Node& node, std::int64_t value, const Bounds& bounds, Shape::Measure measure)
{
    const bool is_time = measure == Shape::Measure::nanoseconds;
    const auto limits = limits_of(bounds, measure);
    if (value >= limits.least && value <= limits.most)
        return true;
    expected(node,
             fmt::format("expected a {}{}", is_time ? "duration" : "size", limits_in_words(limits, measure)));
    return false;
}

void Reader::read_rows(const Node& node, std::span<const Row> rows, void* object, const Takes& takes,
                       std::span<const std::string_view> more_names)
{
    if (!node.is_mapping() && !node.is_null()) {
        broken_ = {.whole = true};
        return expected(node, "expected a mapping",
                        node.is_sequence() ? "write \"key: value\" without \"- \""
                                           : did_you_mean("", names_in(rows, more_names)));
    }
    Broken broken;
    for (const auto& child : node.children) {
        const auto before = complaints_;
        auto row = std::ranges::find(rows, child.key, &Row::name);
        if (row != rows.end()) {
            const auto step = enter(child.key);
            read_row(child, *row, object);
        } else if (read_row_file(child, rows, object)) {
            row = std::ranges::find(rows, child.key, &Row::file_name);
        } else if (!(takes && takes(child))) {
            unknown_key(child, names_in(rows, more_names));
            broken.unknown_key = true;
        }
        if (row != rows.end() && (complaints_ != before || is_broken(child)))
            broken.keys.push_back(row->name);
    }
    broken_ = std::move(broken);  // those of tables within it are done
    require(node, rows);
}

void Reader::require(const Node& node, std::span<const Row> rows)
{
    for (const auto& row : rows) {
        const auto* given = node.find(row.name);
        const auto* in_file = row.shape->secret ? node.find(row.file_name) : nullptr;
        const bool is_missing = !given && !in_file && row.need == Need::required;
        if (is_missing || (given && in_file))
            broken_.keys.push_back(row.name);
        if (given && in_file)
            complain(in_file->key_mark, fmt::format("both {} and {} are given", row.name, row.file_name),
                     "keep one");
        else if (is_missing)
            complain(node.place(), fmt::format("the key \"{}\" is missing", row.name), std::string{row.help});
    }
}

void Reader::read_row(const Node& node, const Row& row, void* object)
{
    if (node.broken)
        return;
    if (row.shape->secret)
        withhold(node.text);
    if (!row.names_file() || !node.is_scalar() || node.text.empty())
        return row.read(*this, node, object, row.bounds);
    Node path = node;
    path.text = resolved(node.text);
    row.read(*this, path, object, row.bounds);
    if (::access(path.text.c_str(), R_OK) != 0)
        complain(node.mark,
                 fmt::format("cannot read {}: {}", found(node), std::generic_category().message(errno)),
                 "check the path and its permissions");
    else if (std::filesystem::is_directory(path.text))
        complain(node.mark, fmt::format("{} is a directory", found(node)), "name a file");
}

// A key NAME_file of a secret NAME.
bool Reader::read_row_file(const Node& child, std::span<const Row> rows, void* object)
{
    const auto row = std::ranges::find(rows, child.key, &Row::file_name);
    if (row == rows.end() || !row->shape->secret)
        return false;
    const auto step = enter(child.key);
    read_secret_file(child, *row, object);
    return true;
}

void Reader::read_secret_file(const Node& node, const Row& row, void* object)
{
    std::string path;
    if (node.broken || !read_text(node, path, "path"))
        return;
    auto contents = contents_of(resolved(path));
    if (!contents)
        return complain(node.mark,
                        fmt::format("cannot read the secret from {}: {}", found(node), contents.error()),
                        "check the path and its permissions");
    Node secret = node;
    secret.quoted = true;
    secret.text = *std::move(contents);
    withhold(secret.text);
    row.read(*this, secret, object, row.bounds);
}

std::string Reader::resolved(const std::string& path) const
{
    return path.starts_with('/') ? path : (std::filesystem::path{directory_} / path).string();
}

void Reader::read_table(const Node& node, const Shape& shape, void* object)
{
    const auto* bare = shape.bare();
    const bool fits =
        bare && (node.is_scalar() || (node.is_sequence() && bare->shape->form == Shape::Form::list));
    if (!fits)
        return read_rows(node, shape.rows, object);
    const auto before = complaints_;
    read_row(node, *bare, object);
    broken_ = {};
    if (complaints_ != before || is_broken(node))
        broken_.keys.push_back(bare->name);
    Node alone{.kind = Node::Kind::mapping, .mark = node.mark, .key_mark = node.key_mark};
    alone.children.push_back({.key = std::string{bare->name}});
    require(alone, shape.rows);
}

// A key that could not be read has its default, and what is said of that would be wrong: only words that
// speak of keys, and of none that is broken, stand on their own.
bool Reader::follows_from_broken(const Node& node, std::span<const Row> rows, std::string_view words) const
{
    if (broken_.nothing())
        return false;
    bool speaks_of_any = false;
    for (const auto& row : rows) {
        if (!speak_of(words, row.name))
            continue;
        const bool is_given = node.find(row.name) || (row.shape->secret && node.find(row.file_name));
        if (std::ranges::find(broken_.keys, row.name) != broken_.keys.end() ||
            (broken_.unknown_key && !is_given))
            return true;
        speaks_of_any = true;
    }
    return !speaks_of_any;
}

void Reader::fault(const Node& node, std::span<const Row> rows, const std::string& words)
{
    if (follows_from_broken(node, rows, words))
        return;
    // A fault that begins with a key that is given (`argv: the program is missing`) is shown there.
    auto text = words;
    hide_variables(node, text);
    const auto end = text.find_first_of(": ");
    const auto* child = end != text.npos ? node.find(text.substr(0, end)) : nullptr;
    if (!child || text[end] == ' ')
        return complain(child ? child->place() : node.place(), std::move(text));
    const auto step = enter(child->key);
    complain(child->place(), text.substr(std::min(text.size(), end + 2)));
}

}  // namespace keepwell
