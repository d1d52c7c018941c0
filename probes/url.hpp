#pragma once

#include "probes/address.hpp"

#include <expected>
#include <string>
#include <string_view>

namespace keepwell {

// Where an HTTP server is and what is asked of it: `http://host[:port][/path][?query]`, or https (RFC 3986,
// but without a user name and password: those have keys of their own, because addresses are shown and
// logged).
class Url {
public:
    Url() = default;

    static constexpr std::string_view type_name = "http(s) URL";
    // What is wrong, in words, repeats nothing of the text. `credentials_go` says where they go instead.
    static std::expected<Url, std::string> parse(std::string_view text,
                                                 std::string_view credentials_go = "username and password");

    std::string whole() const;      // what goes to the server; its query may hold secrets
    std::string text() const;       // for people: without the query, at most 200 characters
    std::string origin() const;     // `http://host:port`, nothing after it
    std::string authority() const;  // `host` or `host:port`, as in the Host header
    const std::string& target() const { return target_; }  // path and query, as in a request line
    const Address& address() const { return address_; }

    bool empty() const { return address_.host.empty(); }
    bool secure() const { return secure_; }
    bool has_query() const { return target_.contains('?'); }
    bool same_origin(const Url& other) const
    {
        return secure_ == other.secure_ && address_ == other.address_;
    }
    Url with_host(std::string host) const;  // the same path and port at another host

    bool operator==(const Url&) const = default;

private:
    bool secure_ = false;
    Address address_{};
    std::string target_{};  // path and query
};

}  // namespace keepwell
