#pragma once

#include "probes/transfer.hpp"

#include <map>
#include <optional>
#include <string>

namespace keepwell::blackbox {

// Follows redirects as Go's HTTP client does, whose manners people's modules were made for: a keepwell probe
// follows the RFC and tells nobody else anything, Go's takes headers along and remembers cookies. Credentials
// and a Host header go to the same host only, and not out of TLS.
class Redirects {
public:
    // The request that the answer asks for; nothing when it asks for none.
    std::optional<HttpRequest> next(const HttpRequest& request, const HttpReply& reply);

    static bool is_redirect(const HttpReply& reply);

private:
    void keep_cookies(const std::string& host, const HttpReply& reply);

    std::map<std::string, std::map<std::string, std::string>> cookies_{};  // by host and name
};

// The first value of a header of the reply; empty when there is none.
std::string header_of(const HttpReply& reply, std::string_view name);

}  // namespace keepwell::blackbox
