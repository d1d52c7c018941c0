#pragma once

#include "daemon/watcher.hpp"
#include "exporters/history.hpp"
#include "exporters/metrics.hpp"

#include <expected>
#include <map>
#include <optional>
#include <string>

namespace keepwell {

// One request, as far as the API cares.
struct ApiRequest {
    std::string method{};
    std::string path{};  // percent-decoded, without the query
    std::map<std::string, std::string> query{};
    std::string origin{};  // the Origin header of a browser
    std::string host{};
    std::string body{};
    bool trusted = false;  // from loopback or the unix socket
};

struct ApiResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::string body{};
    std::string allow{};  // for 405
};

// Splits a request target into the decoded path and its query; nothing when it is malformed (RFC 3986 §2.1,
// §3.3-3.4).
std::optional<std::pair<std::string, std::map<std::string, std::string>>> split_target(
    std::string_view target);

// What the daemon can be asked over HTTP. Knows nothing of sockets: the server calls it on the loop.
class Api {
public:
    using Reload = std::function<std::expected<void, std::string>()>;
    using Beat = std::function<void(const std::string& service)>;
    using Figures = std::function<DaemonFigures()>;

    Api(Watcher& watcher, const Metrics& metrics, const History& history, Reload reload, Beat beat,
        Figures figures)
        : watcher_{watcher},
          metrics_{metrics},
          history_{history},
          reload_{std::move(reload)},
          beat_{std::move(beat)},
          figures_{std::move(figures)}
    {
    }

    // Answers everything but /metrics, which the server writes in slices.
    ApiResponse answer(const ApiRequest& request);

    const Metrics& metrics() const { return metrics_; }
    DaemonFigures figures() const { return figures_(); }

private:
    ApiResponse get(const std::string& path);
    ApiResponse post(const ApiRequest& request);
    ApiResponse health(std::string_view service) const;
    ApiResponse ready() const;
    ApiResponse landing() const;
    ApiResponse maintain(const std::string& service, bool on, const std::string& note);

    Watcher& watcher_;
    const Metrics& metrics_;
    const History& history_;
    Reload reload_;
    Beat beat_;
    Figures figures_;
};

}  // namespace keepwell
