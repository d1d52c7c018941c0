#pragma once

#include "probes/duration.hpp"
#include "probes/tls.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace keepwell {

// Which Docker Engine, and how it is reached.
struct EngineOptions {
    std::string host{};
    std::optional<TlsOptions> tls{};
    Duration timeout = std::chrono::seconds{10};

    static constexpr auto fields()
    {
        return std::tuple{
            optional("host", &EngineOptions::host,
                     "unix:///path, tcp://host:port or https://host:port; empty: DOCKER_HOST, else "
                     "unix:///var/run/docker.sock"),
            optional("tls", &EngineOptions::tls,
                     "speak TLS: true, or a table of options; unset: as DOCKER_TLS_VERIFY and "
                     "DOCKER_CERT_PATH say when the host is DOCKER_HOST's"),
            optional("timeout", &EngineOptions::timeout, "limit of one call")
                .between(1'000'000, 600'000'000'000),
        };
    }
    std::vector<std::string> faults() const;
    bool operator==(const EngineOptions&) const = default;
};

struct EngineRequest {
    std::string method = "GET";
    std::string path{};  // with its query, but without the version: `/containers/json?all=1`
    std::string body{};  // JSON; empty: none
};

struct EngineReply {
    int status = 0;
    std::string body{};
};

// What an error reply says for people: its `message`, else its first line.
std::string message_of(const EngineReply& reply);

// What a failure of the Engine means to a probe of something else: it was not attempted.
Verdict blame_engine(Verdict failure);

// Text as a part of a path or the value of a query: everything but letters, digits and `-._~` is encoded.
std::string url_encoded(std::string_view text);

// A client of the Docker Engine's API, on the one loop. A value: copies, and engines made from the same
// options, share the version of the API that was agreed on. Each call has a connection of its own, so that
// engines that restart and proxies that close after each reply are nothing special.
//
// Whatever is no reply of the Engine's is thrown as Failure:
//   no_response   unreachable: there is no socket, no such host, or a proxy finds no engine behind it;
//                 connection_refused: nobody listens; timeout: it hangs; connection_closed, connection_reset:
//                 it went away before its answer was whole
//   rejected      protocol_error, reply_too_large: garbage, or more than 32 MiB; tls_failure and the like
//   not_attempted permission_denied: the socket is not ours to use, or a proxy refuses the call (403);
//                 bad_configuration: the options make no sense, or the engine is too old
// Cancelled calls end with boost::system::system_error, operation_aborted.
class Engine {
public:
    explicit Engine(EngineOptions options = {});

    // The reply, whatever its status but 403.
    asio::awaitable<EngineReply> call(EngineRequest request, Clock::time_point deadline) const;
    asio::awaitable<EngineReply> call(EngineRequest request) const;  // within the options' timeout

    // Hands on the objects that GET `path` streams, until the stream ends (then it returns) or the caller is
    // cancelled. The stream must begin within the options' timeout; after that it may be silent for ever, but
    // a peer that vanished is noticed after a minute or so. A status other than 200 is a Failure.
    asio::awaitable<void> stream(std::string path, std::function<void(std::string_view object)> each) const;

    // The same for any request, and piece by piece as it comes.
    asio::awaitable<void> attach(EngineRequest request,
                                 std::function<void(std::string_view piece)> each) const;

    const std::string& host() const;  // for people: `unix:///var/run/docker.sock`

    struct State;

private:
    std::shared_ptr<State> state_;
};

}  // namespace keepwell
