#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace keepwell {

// Where does one JSON object end and the next begin? Splits what GET /events streams: objects one after the
// other, in some versions with a line end between them. What is inside an object is not checked but for
// strings and nesting.
class ObjectSplitter {
public:
    static constexpr std::size_t most_bytes = std::size_t{1} << 20;  // of one object

    // Hands on every object that these bytes complete. Throws Failure when they are none, or one is too
    // large.
    void feed(std::string_view bytes, const std::function<void(std::string_view object)>& each);
    bool is_between_objects() const { return object_.empty(); }

private:
    void take(char c);

    std::string object_{};
    std::size_t depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

// The output of a program in a container, out of the frames in which the Engine sends it: one byte that says
// which stream, three zeros, the length in four bytes, most significant first, and so many bytes of output.
class FrameReader {
public:
    // Hands on the output in these bytes, in pieces. Throws Failure when they are no frames.
    void feed(std::string_view bytes, const std::function<void(std::string_view output)>& each);
    bool is_between_frames() const { return header_bytes_ == 0 && left_ == 0; }

private:
    void on_header();

    std::array<unsigned char, 8> header_{};
    std::size_t header_bytes_ = 0;
    std::size_t left_ = 0;  // of the frame's output
};

}  // namespace keepwell
