#pragma once

#include <string>
#include <string_view>

namespace keepwell {

// Bytes from outside as text that is safe to show, log and put into JSON: valid UTF-8 with newlines and tabs;
// every other byte (control characters, terminal escapes, broken UTF-8) becomes `?`, a carriage return before
// a newline goes. Never longer than `bytes`.
std::string printable(std::string_view bytes);

// The last `most` bytes of what was made printable, without the remains of a character cut in half.
std::string last_of(std::string text, std::size_t most);

// The line of a program's output that says most about why it failed: the first that speaks of an error, else
// the last one that is not blank; cut to 200 bytes.
std::string telling_line(std::string_view output);

// The first line that is not blank; cut to 200 bytes.
std::string first_line(std::string_view output);

// The beginning of a text on one line: white space becomes one space; at most `most` bytes, then "...".
std::string excerpt(std::string_view bytes, std::size_t most = 200);

}  // namespace keepwell
