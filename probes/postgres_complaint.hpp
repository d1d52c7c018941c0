#pragma once

#include "probes/probe.hpp"
#include "probes/secret.hpp"

#include <string>
#include <string_view>

// What libpq says went wrong, as a verdict. Pure: libpq has no codes for its own complaints, only text.
namespace keepwell::postgres {

struct Complaint {
    std::string sqlstate{};  // empty when it is libpq that complains, not the server
    std::string text{};      // one line, without the password
};

// Reads libpq's error text. It holds one paragraph for each address that was tried, of which the last one
// counts; the server's errors are expected in the verbose form `FATAL:  28P01: password authentication
// failed`.
Complaint parse_complaint(std::string_view text, const Secret& password);

// What it means to someone who wants to log in.
Verdict judge_complaint(Complaint complaint);

}  // namespace keepwell::postgres
