#include "probes/engine_stream.hpp"

#include "probes/probe.hpp"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::string_view between = " \t\r\n\x1e";  // 0x1e begins a record of application/json-seq
constexpr unsigned char last_stream = 3;             // standard input, output, error, and the Engine's own

}  // namespace

void ObjectSplitter::take(char c)
{
    object_ += c;
    if (escaped_)
        escaped_ = false;
    else if (in_string_ && c == '\\')
        escaped_ = true;
    else if (c == '"')
        in_string_ = !in_string_;
    else if (in_string_)
        return;
    else if (c == '{' || c == '[')
        ++depth_;
    else if (c == '}' || c == ']')
        --depth_;
}

void ObjectSplitter::feed(std::string_view bytes, const std::function<void(std::string_view)>& each)
{
    for (const char c : bytes) {
        if (object_.empty() && between.contains(c))
            continue;
        if (object_.empty() && c != '{')
            throw Failure{rejected(Reason::protocol_error, "this is not a stream of JSON objects")};
        if (object_.size() == most_bytes)
            throw Failure{rejected(Reason::reply_too_large, "an object is larger than 1 MiB")};
        take(c);
        if (depth_ > 0)
            continue;
        const auto object = std::move(object_);
        object_.clear();
        each(object);
    }
}

void FrameReader::on_header()
{
    header_bytes_ = 0;
    const auto& h = header_;
    if (h[0] > last_stream || h[1] != 0 || h[2] != 0 || h[3] != 0)
        throw Failure{
            rejected(Reason::protocol_error, "the frames of a program's output are not understood")};
    left_ = std::size_t{h[4]} << 24 | std::size_t{h[5]} << 16 | std::size_t{h[6]} << 8 | std::size_t{h[7]};
}

void FrameReader::feed(std::string_view bytes, const std::function<void(std::string_view)>& each)
{
    while (!bytes.empty()) {
        if (left_ == 0) {
            header_[header_bytes_++] = static_cast<unsigned char>(bytes.front());
            bytes.remove_prefix(1);
            if (header_bytes_ == header_.size())
                on_header();
            continue;
        }
        const auto piece = bytes.substr(0, left_);
        left_ -= piece.size();
        bytes.remove_prefix(piece.size());
        each(piece);
    }
}

}  // namespace keepwell
