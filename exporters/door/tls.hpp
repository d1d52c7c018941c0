#pragma once

#include "exporters/door/web_config.hpp"

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace keepwell {

// What all TLS connections have in common: the certificate, and whom we let in. Made once per configuration;
// a connection keeps the one that it began with.
class TlsServer {
public:
    // The error is words, which begin with the key that is to blame.
    static std::expected<std::shared_ptr<const TlsServer>, std::string> make(const TlsServerConfig& config);
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

private:
    friend class ServerTls;
    struct Parts;
    explicit TlsServer(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

// The TLS of one connection, over a socket that does not block and outlives it. Each step does what can be
// done now and says what to wait for. May be used on any thread, by one at a time. SIGPIPE must be ignored.
class ServerTls {
public:
    // The failure of a client that speaks HTTP without TLS; in the words of OpenSSL.
    static constexpr std::string_view spoken_plainly = "http request";
    enum class Step { done, wants_read, wants_write, closed, failed };

    ServerTls(std::shared_ptr<const TlsServer> server, int socket);
    ~ServerTls();
    ServerTls(const ServerTls&) = delete;
    ServerTls& operator=(const ServerTls&) = delete;

    Step handshake();  // done: only when the client is one of those that may come in
    Step read(std::span<char> into, std::size_t& count);
    Step write(std::string_view bytes, std::size_t& count);
    void say_goodbye();

    // The common name of the client's certificate, when it was checked; empty otherwise.
    std::string client_name() const;
    // Why the last step has failed.
    const std::string& failure() const { return failure_; }

private:
    struct Parts;
    Step result_of(int code);
    bool is_allowed() const;

    std::shared_ptr<const TlsServer> server_;
    std::unique_ptr<Parts> parts_;
    std::string failure_{};
};

}  // namespace keepwell
