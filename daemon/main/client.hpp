#pragma once

#include <string>

namespace keepwell {

struct Answer {
    int status = 0;
    std::string body{};
};

// Where the running daemon is asked: `url` if given, else $KEEPWELL_URL, else the unix socket if there is
// one, else http://127.0.0.1:5337. Over TCP, $KEEPWELL_USER and $KEEPWELL_PASSWORD_FILE say who asks, or
// $KEEPWELL_CERTIFICATE_FILE and $KEEPWELL_KEY_FILE; $KEEPWELL_CA_FILE whom to trust. Throws
// std::runtime_error when it does not answer, saying where and what to do.
Answer ask(const std::string& url, const std::string& method, const std::string& path);

std::string percent_encoded(std::string_view text);

}  // namespace keepwell
