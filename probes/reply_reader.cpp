#include "probes/reply_reader.hpp"

#include <algorithm>

namespace keepwell {

bool ReplyReader::line(std::string_view line)
{
    header_bytes_ += line.size();
    if (headers_too_large())
        return false;
    if (line.starts_with("HTTP/")) {
        in_headers_ = true;
        reply_->has_head = false;
        reply_->headers.clear();
    } else if (line == "\r\n" || line == "\n") {
        in_headers_ = false;
        reply_->has_head = true;
    } else if (request_->keep_headers) {
        keep(line);
    }
    return true;
}

void ReplyReader::keep(std::string_view line)
{
    const auto colon = line.find(':');
    if (colon == line.npos)
        return;
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
    reply_->headers.push_back({std::string{line.substr(0, colon)}, std::string{value}});
}

std::size_t ReplyReader::body(std::string_view bytes)
{
    const auto wanted = bytes.substr(0, request_->max_body - reply_->body_bytes);
    if (reply_->body.size() < request_->keep_body)
        reply_->body += wanted.substr(0, request_->keep_body - reply_->body.size());
    reply_->body_bytes += wanted.size();
    reply_->body_cut = wanted.size() < bytes.size();
    return wanted.size();
}

}  // namespace keepwell
