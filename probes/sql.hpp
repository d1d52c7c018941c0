#pragma once

#include "probes/pattern.hpp"
#include "probes/probe.hpp"
#include "probes/secret.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// The most that a database may send us in one attempt; a probe's query is meant to give one value.
inline constexpr std::size_t reply_limit = 1 << 20;

// What a query gave: the text of the first column of the first row.
struct QueryValue {
    bool row = false;                   // there was a row
    std::optional<std::string> text{};  // nothing: NULL
};

// Is it the value that was asked for? An empty pattern matches all; without expectations any answer is ok.
// Notes `query_value` when it is a number.
Verdict judge_value(const QueryValue& value, const std::optional<std::string>& expect,
                    const Pattern& expect_regex, Progress& progress);

// A server's words as one short line for a detail, without `secret` should the server repeat it.
std::string server_words(std::string_view text, const Secret& secret);

}  // namespace keepwell
