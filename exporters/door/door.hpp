#pragma once

#include "exporters/api.hpp"
#include "exporters/door/tls.hpp"
#include "exporters/door/token_bucket.hpp"
#include "exporters/door/users.hpp"
#include "exporters/door/web_config.hpp"

#include <expected>
#include <memory>
#include <optional>
#include <string>

namespace keepwell {

// Who is at the other end of a connection, before anybody has said a name.
struct Peer {
    std::string address{};      // without the port; empty on the unix socket
    bool local = false;         // on the unix socket: whoever may open that may do everything
    bool on_this_host = false;  // on the unix socket, or from loopback
    std::string certificate{};  // the name in a client certificate that was checked
};

// Who may come in over TCP, and what he may do: what --web.config.file says. Without a file everybody may
// look, and who is on this host may act.
class Door {
public:
    explicit Door(asio::io_context& loop) : loop_{loop}, hashing_{loop} {}

    // Follows this file from now on. The error is the file's problems as lines for people.
    std::expected<void, std::string> open(std::string file);
    // Reads the file again, and those that it names. With problems, everything stays as it is.
    std::expected<void, std::string> reload();
    // The same when the last look at it was some time ago; logs what comes of it.
    void look_again(Clock::time_point now);
    void stop() { hashing_.stop(); }  // before the loop is destroyed
    bool is_current() const { return complaint_.empty(); }

    std::shared_ptr<const TlsServer> tls() const { return tls_; }  // null: connections are plain
    const std::vector<std::pair<std::string_view, std::string>>& headers() const { return headers_; }

    // Who asks, or what he gets instead of an answer: 401 or 429. `admit` is the answer when it is known at
    // once.
    using Admission = std::expected<Visitor, ApiResponse>;
    std::optional<Admission> admit(const Peer& peer, const std::string& authorization, Clock::time_point now);
    asio::awaitable<Admission> admit_slowly(Peer peer, std::string authorization);

private:
    void take_over(WebConfig config);
    Visitor visitor(const std::string& name) const;
    Admission admission(const Users::Verdict& verdict, const std::string& user) const;

    asio::io_context& loop_;
    std::string file_{};
    std::string complaint_{};  // about the file as it is now; empty: it is in force
    WebConfig config_{};
    std::shared_ptr<const TlsServer> tls_{};
    Worker hashing_;
    std::shared_ptr<Users> users_{};
    std::vector<std::pair<std::string_view, std::string>> headers_{};
    TokenBucket requests_{};
    Clock::time_point looked_{};
};

}  // namespace keepwell
