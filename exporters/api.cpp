#include "exporters/api.hpp"

#include "daemon/log.hpp"
#include "exporters/status.hpp"
#include "exporters/targets.hpp"

#include <fmt/format.h>
#include <boost/asio/ip/address.hpp>

namespace keepwell {

namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";

ApiResponse text(int status, std::string body)
{
    return {status, std::string{text_type}, std::move(body) + "\n"};
}
ApiResponse error(int status, std::string_view message)
{
    return {status, "application/json", error_json(message)};
}

ApiResponse not_allowed(std::string allowed)
{
    auto response = error(405, "use " + allowed);
    response.headers = {{"Allow", std::move(allowed)}};
    return response;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space)
{
    const auto hex = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    };
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
            continue;
        }
        if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
            return {};
        decoded += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
        i += 2;
    }
    return decoded;
}

// The part of `path` behind `prefix`, if it is one non-empty segment.
std::optional<std::string> segment_after(const std::string& path, std::string_view prefix)
{
    if (!path.starts_with(prefix) || path.size() == prefix.size() ||
        path.find('/', prefix.size()) != path.npos)
        return {};
    return path.substr(prefix.size());
}

constexpr std::array post_prefixes{std::string_view{"/api/v1/heartbeat/"},
                                   std::string_view{"/api/v1/maintenance/"},
                                   std::string_view{"/api/v1/resume/"}};

bool takes_post(const std::string& path)
{
    return path == "/-/reload" || std::ranges::any_of(post_prefixes, [&](auto prefix) {
               return segment_after(path, prefix).has_value();
           });
}

// Whether a browser was led here by a name that can only mean this host. Any other name may have been made to
// point here by the site whose page is asking (DNS rebinding), or be a proxy's, behind which anybody is.
bool is_own_name(std::string_view host)
{
    if (const auto colon = host.rfind(':'); colon != host.npos && !host.ends_with(']'))
        host = host.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    return error ? host == "localhost" || host.ends_with(".localhost") : address.is_loopback();
}

// A page of another site must not be able to press our buttons through a browser on this machine. Browsers
// name the asking page's site in one of two headers, or both, and no page can change them.
bool from_other_site(const ApiRequest& request)
{
    const bool foreign_origin = !request.origin.empty() && request.origin != "http://" + request.host &&
                                request.origin != "https://" + request.host;
    return foreign_origin || (!request.fetch_site.empty() && request.fetch_site != "same-origin" &&
                              request.fetch_site != "none");
}

bool from_browser(const ApiRequest& request)
{
    return !request.origin.empty() || !request.fetch_site.empty();
}

// Whether a page that is not ours may be behind it.
bool from_other_page(const ApiRequest& request)
{
    return from_other_site(request) ||
           (from_browser(request) && !request.visitor.is_known && !is_own_name(request.host));
}

}  // namespace

std::optional<std::pair<std::string, std::map<std::string, std::string>>> split_target(
    std::string_view target)
{
    if (!target.starts_with('/'))
        return {};
    const auto mark = target.find('?');
    auto path = percent_decode(target.substr(0, mark), false);
    if (!path || path->find('\0') != path->npos)
        return {};
    std::map<std::string, std::string> query;
    auto rest = mark == target.npos ? std::string_view{} : target.substr(mark + 1);
    while (!rest.empty()) {
        const auto pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        const auto equals = pair.find('=');
        const auto key = percent_decode(pair.substr(0, equals), true);
        const auto value =
            percent_decode(equals == pair.npos ? std::string_view{} : pair.substr(equals + 1), true);
        if (!key || !value)
            return {};
        query.insert_or_assign(*key, *value);
    }
    return std::pair{std::move(*path), std::move(query)};
}

std::string Api::refusal(const ApiRequest& request, bool asks_as_browser)
{
    const auto& visitor = request.visitor;
    if (visitor.is_known)  // by what no page of another site has: a password, or a certificate for this name
        return visitor.may_act ? "" : "changes are only taken from those who have the role to act";
    if (!visitor.may_act)
        return "changes are only taken from the same host: over loopback or the unix socket";
    if (asks_as_browser && !is_own_name(request.host))
        return "changes are only taken from a browser on the same host that opens this page as localhost";
    return {};
}

ApiResponse Api::answer(const ApiRequest& request)
{
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    const bool is_post = request.method == "POST" || (request.method == "PUT" && request.path == "/-/reload");
    if (takes_post(request.path))
        return is_post ? post(request) : not_allowed("POST");
    if (is_get)
        return get(request);
    auto only_looking = request;
    only_looking.method = "HEAD";
    auto response = get(only_looking);
    return response.status == 404 ? response : not_allowed("GET, HEAD");
}

ApiResponse Api::get(const ApiRequest& request)
{
    const auto now = Clock::now();
    const auto& monitor = watcher_.monitor();
    const auto& path = request.path;
    if (path == "/")
        return status_page(request);
    if (const auto name = segment_after(path, "/page/"))
        return asset(*name, request);
    if (const auto name = segment_after(path, "/badge/"))
        return badge(*name, request);
    if (path == "/metrics")
        return metrics_page(request);
    if (path == "/sd")
        return {200, "application/json", targets_json(monitor, request.query)};
    if (path == "/-/healthy")
        return text(200, "keepwell is healthy.");
    if (path == "/-/ready")
        return ready();
    if (path == "/health")
        return health({});
    if (const auto service = segment_after(path, "/health/"))
        return health(*service);
    if (path == "/api/v1/status")
        return status({});
    if (path == "/api/v1/signals")
        return {200, "application/json", signals_json(monitor, history_, now)};
    if (path == "/api/v1/events")
        return events(request);
    if (const auto name = segment_after(path, "/api/v1/services/")) {
        if (const auto id = monitor.stack().find(*name))
            return status(id);
        return error(404, "no such service");
    }
    if (const auto found = more_pages_.find(path); found != more_pages_.end())
        return found->second(request);
    return error(404, "no such page; docs/api.md lists what there is");
}

ApiResponse Api::post(const ApiRequest& request)
{
    if (const auto service = segment_after(request.path, "/api/v1/heartbeat/")) {
        if (from_other_page(request))
            return error(403, "a browser may beat only on the page of this host, opened as localhost");
        if (!watcher_.monitor().stack().find(*service))
            return error(404, "no such service");
        beat_(*service);
        return {204, "application/json"};
    }
    if (from_other_site(request))
        return error(403, "not from another site's page");
    if (const auto why = refusal(request, from_browser(request)); !why.empty())
        return error(403, why);
    if (request.path == "/-/reload") {
        if (const auto done = reload_(); !done)
            return text(500, "reload failed: " + done.error());
        return text(200, "reloaded");
    }
    if (const auto service = segment_after(request.path, "/api/v1/maintenance/"))
        return maintain(*service, true, request);
    if (const auto service = segment_after(request.path, "/api/v1/resume/"))
        return maintain(*service, false, request);
    return error(404, "no such page");
}

ApiResponse Api::maintain(const std::string& service, bool on, const ApiRequest& request)
{
    auto& monitor = watcher_.monitor();
    const auto id = monitor.stack().find(service);
    if (!id)
        return error(404, "no such service");
    const auto found = request.query.find("note");
    const auto note = found == request.query.end() ? std::string{} : found->second.substr(0, 200);
    if (on)
        monitor.maintain(*id, true, note, Clock::now());
    else
        monitor.resume(*id, Clock::now());
    watcher_.wake();
    page_.touch(*id);
    log(LogLevel::info, on ? "maintenance begun by hand" : "resumed by hand",
        {{"service", service},
         {"note", note},
         {"by", request.visitor.name.empty() ? "this host" : request.visitor.name}});
    if (request.accept.find("text/html") != std::string::npos)  // the page's button, pressed without a script
        return {303, "text/plain", "done\n", {{"Location", fmt::format("/#service-{}", *id)}}};
    return status(id);
}

// 200 while healthy (or in maintenance, which is on purpose), 503 otherwise: made for load balancers and
// Compose.
ApiResponse Api::health(std::string_view service) const
{
    const auto& monitor = watcher_.monitor();
    const auto good = [](State state) { return state == State::healthy || state == State::maintenance; };
    if (service.empty()) {
        std::string lines;
        for (ServiceId id = 0; id < monitor.stack().services().size(); ++id)
            lines += monitor.stack().services()[id].spec->name + ": " + health_line(monitor, id) + "\n";
        return {good(monitor.stack_state()) ? 200 : 503, std::string{text_type}, std::move(lines)};
    }
    const auto id = monitor.stack().find(service);
    if (!id)
        return text(404, "no such service");
    return text(good(monitor.service(*id).state) ? 200 : 503, health_line(monitor, *id));
}

// Ready once every probe that is wanted has been attempted: from then on its word counts.
ApiResponse Api::ready() const
{
    const auto& monitor = watcher_.monitor();
    std::size_t waiting = 0;
    for (ProbeId id = 0; id < monitor.stack().probes().size(); ++id)
        waiting += monitor.wanted(id) && monitor.probe(id).last.started == Clock::time_point{};
    if (waiting)
        return text(503, fmt::format("not ready: {} of {} probes have not been attempted yet", waiting,
                                     monitor.stack().probes().size()));
    return text(200, "keepwell is ready.");
}

// Of all services, or of one.
ApiResponse Api::status(std::optional<ServiceId> only)
{
    ApiResponse response;
    response.more = [this, writer = only ? StatusWriter{*only}
                                         : StatusWriter{figures_()}](std::string& body) mutable {
        return writer.write(body, watcher_.monitor(), Clock::now());
    };
    return response;
}

ApiResponse Api::metrics_page(const ApiRequest& request)
{
    const auto format = format_for(request.accept);
    ApiResponse response{200, std::string{content_type(format)}};
    response.headers = {{"Vary", "Accept"}};
    response.body.reserve(usual_metrics_size_);
    response.more = [this, figures = figures_(),
                     cursor = Metrics::Cursor{.format = format}](std::string& body) mutable {
        const bool more = metrics_.write(body, cursor, figures);
        if (!more)
            usual_metrics_size_ = roomy(body.size());
        return more;
    };
    watcher_.forget_lateness();
    return response;
}

}  // namespace keepwell
