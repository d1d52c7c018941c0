#pragma once

#include "probes/transfer.hpp"

#include <cstddef>
#include <string_view>

namespace keepwell {

// Gathers an HTTP answer from its lines and bytes as they come, within the limits of its request.
class ReplyReader {
public:
    static constexpr std::size_t most_header_bytes = std::size_t{256} * 1024;

    ReplyReader() = default;
    ReplyReader(const HttpRequest& request, HttpReply& reply) : request_{&request}, reply_{&reply} {}

    // A status line, a header, the empty line after them, or a trailer; also of "100 Continue" before the
    // answer. False when that is too much.
    bool line(std::string_view line);
    // Takes as many of these bytes as are wanted: fewer than there are means that it is enough.
    std::size_t body(std::string_view bytes);

    bool empty() const { return header_bytes_ == 0; }
    bool in_headers() const { return in_headers_; }  // a connection that ends now has not answered
    bool headers_too_large() const { return header_bytes_ > most_header_bytes; }
    const HttpReply& reply() const { return *reply_; }

private:
    void keep(std::string_view line);

    const HttpRequest* request_ = nullptr;
    HttpReply* reply_ = nullptr;
    std::size_t header_bytes_ = 0;
    bool in_headers_ = false;
};

}  // namespace keepwell
