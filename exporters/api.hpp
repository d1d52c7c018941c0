#pragma once

#include "daemon/watcher.hpp"
#include "exporters/history.hpp"
#include "exporters/metrics.hpp"
#include "exporters/page/page.hpp"

#include <boost/asio/awaitable.hpp>

#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

// Who asks, as far as the server could tell.
struct Visitor {
    std::string name{};  // a user's, or of a client's certificate; may be empty
    bool is_known =
        false;             // has shown who he is; where nobody is asked to, being on this host is what counts
    bool may_act = false;  // change things
};

// One request, as far as the API cares.
struct ApiRequest {
    std::string method{};
    std::string path{};  // percent-decoded, without the query
    std::map<std::string, std::string> query{};
    // Headers, empty where there are none:
    std::string host{};
    std::string origin{};      // a browser's word for whose page asks
    std::string fetch_site{};  // Sec-Fetch-Site, another one
    std::string accept{};
    std::string if_none_match{};
    std::string last_event_id{};
    std::string scrape_timeout{};  // X-Prometheus-Scrape-Timeout-Seconds
    std::string body{};
    Visitor visitor{};
};

struct ApiResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::string body{};
    std::vector<std::pair<std::string_view, std::string>>
        headers{};  // without a Cache-Control it is "no-store"
    // Appends the next slice to the body and returns whether there is more: the server frees the loop for
    // others between two slices.
    std::function<bool(std::string& body)> more{};
    // What the answer has to wait for: awaited before it is sent, and may change all of it.
    std::function<asio::awaitable<void>(ApiResponse& response)> later{};
    std::shared_ptr<EventStream> events{};  // what follows the body, until it ends
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

    Api(Watcher& watcher, const Metrics& metrics, const History& history, Page& page, Reload reload,
        Beat beat, Figures figures)
        : watcher_{watcher},
          metrics_{metrics},
          history_{history},
          page_{page},
          reload_{std::move(reload)},
          beat_{std::move(beat)},
          figures_{std::move(figures)}
    {
    }

    // A page that somebody else makes, for GET.
    using Maker = std::function<ApiResponse(const ApiRequest& request)>;
    void add_page(std::string path, Maker maker)
    {
        more_pages_.insert_or_assign(std::move(path), std::move(maker));
    }

    ApiResponse answer(const ApiRequest& request);

private:
    // Why this request may change nothing, in words; empty when it may.
    static std::string refusal(const ApiRequest& request, bool asks_as_browser);

    ApiResponse get(const ApiRequest& request);
    ApiResponse post(const ApiRequest& request);
    ApiResponse health(std::string_view service) const;
    ApiResponse ready() const;
    ApiResponse status(std::optional<ServiceId> only);
    ApiResponse metrics_page(const ApiRequest& request);
    ApiResponse maintain(const std::string& service, bool on, const ApiRequest& request);

    // api_page.cpp: what people look at
    ApiResponse status_page(const ApiRequest& request);
    ApiResponse asset(const std::string& name, const ApiRequest& request) const;
    ApiResponse badge(const std::string& name, const ApiRequest& request) const;
    ApiResponse events(const ApiRequest& request);

    Watcher& watcher_;
    const Metrics& metrics_;
    const History& history_;
    Page& page_;
    Reload reload_;
    Beat beat_;
    Figures figures_;
    std::map<std::string, Maker> more_pages_{};
    // Long pages get as much memory as those before took: to move megabytes to where there is more room holds
    // up the loop for longer than a slice.
    static std::size_t roomy(std::size_t size) { return size + size / 16; }
    std::size_t usual_metrics_size_ = 0;
    std::size_t usual_page_size_ = 0;
};

}  // namespace keepwell
