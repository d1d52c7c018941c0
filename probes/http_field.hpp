#pragma once

#include <string>
#include <string_view>

namespace keepwell {

// May this be written into an HTTP request (RFC 9110 §5 and §9.1)? What may not could end its line and begin
// one of its own.
bool is_token(std::string_view text);        // a method, or the name of a header
bool is_field_value(std::string_view text);  // no control characters but tabs

// What is wrong, in words that begin with the key that has it; empty when nothing is.
std::string method_fault(std::string_view method);
std::string header_fault(std::string_view name, std::string_view value);
std::string bearer_token_fault(std::string_view token);

}  // namespace keepwell
