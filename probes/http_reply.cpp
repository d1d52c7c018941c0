#include "probes/http_reply.hpp"

#include "probes/probe.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace keepwell {

namespace {

constexpr std::string_view blanks = " \t";
constexpr std::size_t longest_chunk_line = 4096;

[[noreturn]] void refuse(std::string why) { throw Failure{rejected(Reason::protocol_error, std::move(why))}; }

std::string_view trimmed(std::string_view text)
{
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

std::string_view without_end(std::string_view line)
{
    line.remove_suffix(1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

// All of the text as a number; nothing when it is none or does not fit.
std::optional<std::uint64_t> number(std::string_view text, int base)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// One after the other, the elements of a list: `a, b`.
template <class Use>
void each_element(std::string_view list, Use use)
{
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        use(trimmed(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
}

// Whether a status line may begin like this: what is no HTTP is told at its first bytes.
bool may_be_status(std::string_view text)
{
    constexpr std::string_view begin = "HTTP/1.";
    return begin.starts_with(text.substr(0, begin.size()));
}

}  // namespace

HttpReplyParser::HttpReplyParser(const HttpRequest& request, HttpReply& reply)
    : request_{&request}, reply_{&reply}, reader_{request, reply}
{
}

void HttpReplyParser::feed(std::string_view bytes)
{
    begun_ = begun_ || !bytes.empty();
    while (!bytes.empty() && !done())
        bytes = take(bytes);
    if (!bytes.empty())
        keep_ = false;  // more than was asked for: whose answer would that be?
}

void HttpReplyParser::feed_end()
{
    keep_ = false;
    const auto closed = [](const std::string& when) {
        throw Failure{no_response(Reason::connection_closed, "the peer closed the connection" + when)};
    };
    switch (stage_) {
        case Stage::status: return closed(begun_ ? " within the headers" : "");
        case Stage::headers: return closed(" within the headers");
        case Stage::endless_body: stage_ = Stage::done; return;
        case Stage::done: return;
        default: return closed(" within the body, after " + std::to_string(reply_->body_bytes) + " bytes");
    }
}

// Takes what belongs to the stage and returns the rest.
std::string_view HttpReplyParser::take(std::string_view bytes)
{
    const bool in_body =
        stage_ == Stage::sized_body || stage_ == Stage::chunk_body || stage_ == Stage::endless_body;
    return in_body ? take_body(bytes) : take_line(bytes);
}

std::string_view HttpReplyParser::take_line(std::string_view bytes)
{
    const auto end = bytes.find('\n');
    if (end == bytes.npos) {
        line_ += bytes;
        if (stage_ == Stage::status && !may_be_status(line_))
            refuse("this is not HTTP/1");
        if (stage_ == Stage::chunk_size && line_.size() > longest_chunk_line)
            refuse("the size of a chunk is not understood");
        if (stage_ == Stage::chunk_end && line_ != "\r")
            refuse("a chunk is longer than it said");
        if (line_.size() > ReplyReader::most_header_bytes)
            count(line_);
        return {};
    }
    if (line_.empty()) {
        on_line(bytes.substr(0, end + 1));
    } else {
        line_ += bytes.substr(0, end + 1);
        const auto line = std::move(line_);
        line_.clear();
        on_line(line);
    }
    return bytes.substr(end + 1);
}

std::string_view HttpReplyParser::take_body(std::string_view bytes)
{
    const auto mine =
        stage_ == Stage::endless_body
            ? bytes
            : bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
    if (reader_.body(mine) < mine.size()) {
        stage_ = Stage::done;  // that is enough
        return {};
    }
    if (stage_ == Stage::endless_body)
        return {};
    left_ -= mine.size();
    if (left_ == 0)
        stage_ = stage_ == Stage::sized_body ? Stage::done : Stage::chunk_end;
    return bytes.substr(mine.size());
}

void HttpReplyParser::count(std::string_view line)
{
    if (!reader_.line(line))
        throw Failure{rejected(Reason::reply_too_large, "the headers are larger than 256 KiB")};
}

// A line with its end.
void HttpReplyParser::on_line(std::string_view line)
{
    const auto text = without_end(line);
    switch (stage_) {
        case Stage::status: on_status(text); return count(line);
        case Stage::headers: count(line); return text.empty() ? on_headers_end() : on_header(text);
        case Stage::chunk_size: return on_chunk_size(text);
        case Stage::chunk_end:
            if (!text.empty())
                refuse("a chunk is longer than it said");
            stage_ = Stage::chunk_size;
            return;
        case Stage::trailers:
            if (text.empty())
                stage_ = Stage::done;
            else
                count(line);
            return;
        default: return;
    }
}

// `HTTP/1.1 200 OK`, or without the phrase and the blank before it.
void HttpReplyParser::on_status(std::string_view line)
{
    if (!may_be_status(line) || line.size() < 8)
        refuse("this is not HTTP/1");
    const auto minor = line[7];
    if (minor != '0' && minor != '1')
        refuse("this version of HTTP is not understood");
    const auto code = line.size() < 12 || line[8] != ' ' ? std::nullopt : number(line.substr(9, 3), 10);
    if (!code || *code < 100 || (line.size() > 12 && line[12] != ' '))
        refuse("its status line is not understood");
    reply_->status = static_cast<int>(*code);
    reply_->version = minor == '0' ? 1.0 : 1.1;
    keep_ = minor == '1';
    chunked_ = has_length_ = false;
    left_ = 0;
    stage_ = Stage::headers;
}

void HttpReplyParser::on_header(std::string_view line)
{
    if (line.contains('\0'))
        refuse("there is a zero byte in its headers");
    const auto colon = line.find(':');
    if (colon == line.npos || line.starts_with(' ') || line.starts_with('\t'))
        return;
    const auto name = trimmed(line.substr(0, colon));
    const auto value = trimmed(line.substr(colon + 1));
    if (same_name(name, "Content-Length"))
        on_length(value);
    else if (same_name(name, "Transfer-Encoding"))
        each_element(value, [&](std::string_view coding) { chunked_ = same_name(coding, "chunked"); });
    else if (same_name(name, "Connection"))
        each_element(value, [&](std::string_view option) { keep_ = keep_ && !same_name(option, "close"); });
    else if (same_name(name, "Location") && location_.empty() && reply_->status / 100 == 3)
        location_ = value;
}

void HttpReplyParser::on_length(std::string_view value)
{
    each_element(value, [&](std::string_view element) {
        const auto length = number(element, 10);
        if (!length || (has_length_ && *length != left_))
            refuse("its Content-Length is not understood");
        has_length_ = true;
        left_ = *length;
    });
    if (!has_length_)
        refuse("its Content-Length is not understood");
}

void HttpReplyParser::on_headers_end()
{
    const auto status = reply_->status;
    if (status / 100 == 1 && status != 101)
        stage_ = Stage::status;  // the answer is still to come
    else if (status == 101 || status == 204 || status == 304 || request_->method == "HEAD")
        stage_ = Stage::done;
    else if (chunked_)
        stage_ = Stage::chunk_size;
    else if (has_length_)
        stage_ = left_ == 0 ? Stage::done : Stage::sized_body;
    else
        stage_ = Stage::endless_body;
    keep_ = keep_ && status != 101 && stage_ != Stage::endless_body;
}

// Hexadecimal, and perhaps extensions after a semicolon, which mean nothing to us.
void HttpReplyParser::on_chunk_size(std::string_view line)
{
    const auto size = number(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size || line.size() > longest_chunk_line)
        refuse("the size of a chunk is not understood");
    left_ = *size;
    stage_ = left_ == 0 ? Stage::trailers : Stage::chunk_body;
}

}  // namespace keepwell
