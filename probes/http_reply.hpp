#pragma once

#include "probes/reply_reader.hpp"
#include "probes/transfer.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace keepwell {

// Where does an HTTP/1 answer begin, and where does it end (RFC 9112)? Takes it in pieces of any size.
//
// As lenient as libcurl, so that a target is judged alike whichever of them asks it: lines may end with LF
// alone, the reason phrase may be missing, header lines that are not understood are passed over. What would
// make the end of the answer a guess is refused. All errors are thrown as Failure.
class HttpReplyParser {
public:
    // Both must outlive it. Fills in what is promised of an HttpReply but for `redirect`: see location().
    HttpReplyParser(const HttpRequest& request, HttpReply& reply);

    // Not to be called once it is done.
    void feed(std::string_view bytes);
    // The peer has closed the connection: that is an answer's end, or an error.
    void feed_end();

    bool begun() const { return begun_; }
    bool has_headers() const { return stage_ > Stage::headers; }  // all of them; then comes the body
    bool done() const { return stage_ == Stage::done; }
    // Done, and another request may follow on the same connection.
    bool keeps_connection() const { return done() && keep_ && !reply_->body_cut; }
    // What a redirect says, relative as it may be; empty for other answers.
    const std::string& location() const { return location_; }

private:
    enum class Stage : std::uint8_t {
        status,
        headers,
        sized_body,
        chunk_size,
        chunk_body,
        chunk_end,
        trailers,
        endless_body,
        done
    };

    std::string_view take(std::string_view bytes);
    std::string_view take_line(std::string_view bytes);
    std::string_view take_body(std::string_view bytes);
    void on_line(std::string_view line);
    void on_status(std::string_view line);
    void on_header(std::string_view line);
    void on_headers_end();
    void on_length(std::string_view value);
    void on_chunk_size(std::string_view line);
    void count(std::string_view line);

    const HttpRequest* request_;
    HttpReply* reply_;
    ReplyReader reader_;
    Stage stage_ = Stage::status;
    std::string line_{};  // the beginning of one whose end has not come
    bool begun_ = false;
    bool keep_ = false;
    bool chunked_ = false;
    bool has_length_ = false;
    std::uint64_t left_ = 0;  // of the body or of its chunk
    std::string location_{};
};

}  // namespace keepwell
