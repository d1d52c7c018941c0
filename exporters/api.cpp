#include "exporters/api.hpp"

#include "daemon/log.hpp"
#include "daemon/version.hpp"
#include "exporters/status.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";

ApiResponse text(int status, std::string body)
{
    return {status, std::string{text_type}, std::move(body) + "\n", {}};
}
ApiResponse error(int status, std::string_view message)
{
    return {status, "application/json", error_json(message), {}};
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

// A page of another site must not be able to press our buttons through a browser on this machine.
bool from_other_site(const ApiRequest& request)
{
    return !request.origin.empty() && request.origin != "http://" + request.host &&
           request.origin != "https://" + request.host;
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

ApiResponse Api::answer(const ApiRequest& request)
{
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    const bool is_post = request.method == "POST" || (request.method == "PUT" && request.path == "/-/reload");
    if (takes_post(request.path)) {
        if (!is_post) {
            auto response = error(405, "use POST");
            response.allow = "POST";
            return response;
        }
        return post(request);
    }
    auto response = get(request.path);
    const bool there = response.status != 404 || request.path == "/metrics";  // which the server answers
    if (there && !is_get) {
        response = error(405, "use GET");
        response.allow = "GET, HEAD";
    }
    return response;
}

ApiResponse Api::get(const std::string& path)
{
    const auto now = Clock::now();
    const auto& monitor = watcher_.monitor();
    if (path == "/")
        return landing();
    if (path == "/-/healthy")
        return text(200, "keepwell is healthy.");
    if (path == "/-/ready")
        return ready();
    if (path == "/health")
        return health({});
    if (const auto service = segment_after(path, "/health/"))
        return health(*service);
    if (path == "/api/v1/status")
        return {200, "application/json", status_json(monitor, now), {}};
    if (path == "/api/v1/signals")
        return {200, "application/json", signals_json(monitor, history_, now), {}};
    if (const auto name = segment_after(path, "/api/v1/services/")) {
        if (const auto id = monitor.stack().find(*name))
            return {200, "application/json", service_json(monitor, *id, now), {}};
        return error(404, "no such service");
    }
    return error(404, "no such page; see / for what there is");
}

ApiResponse Api::post(const ApiRequest& request)
{
    if (const auto service = segment_after(request.path, "/api/v1/heartbeat/")) {
        if (!watcher_.monitor().stack().find(*service))
            return error(404, "no such service");
        beat_(*service);
        return {204, "application/json", {}, {}};
    }
    if (!request.trusted)
        return error(403, "this is only allowed from the same host: over loopback or the unix socket");
    if (from_other_site(request))
        return error(403, "not from another site's page");
    if (request.path == "/-/reload") {
        if (const auto done = reload_(); !done)
            return text(500, "reload failed, the configuration stays as it was:\n" + done.error());
        return text(200, "reloaded");
    }
    if (const auto service = segment_after(request.path, "/api/v1/maintenance/")) {
        const auto note = request.query.find("note");
        return maintain(*service, true, note == request.query.end() ? std::string{} : note->second);
    }
    if (const auto service = segment_after(request.path, "/api/v1/resume/"))
        return maintain(*service, false, {});
    return error(404, "no such page");
}

ApiResponse Api::maintain(const std::string& service, bool on, const std::string& note)
{
    auto& monitor = watcher_.monitor();
    const auto id = monitor.stack().find(service);
    if (!id)
        return error(404, "no such service");
    if (on)
        monitor.maintain(*id, true, note.substr(0, 200), Clock::now());
    else
        monitor.resume(*id, Clock::now());
    watcher_.wake();
    log(LogLevel::info, on ? "maintenance begun by hand" : "resumed by hand",
        {{"service", service}, {"note", note.substr(0, 200)}});
    return {200, "application/json", service_json(monitor, *id, Clock::now()), {}};
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
        return {good(monitor.stack_state()) ? 200 : 503, std::string{text_type}, std::move(lines), {}};
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

ApiResponse Api::landing() const
{
    return text(200,
                fmt::format("keepwell {}\n\n"
                            "  /metrics                      for Prometheus\n"
                            "  /health, /health/SERVICE      200 when healthy, else 503, with the reason\n"
                            "  /api/v1/status                everything that is known, as JSON\n"
                            "  /api/v1/services/SERVICE      one service\n"
                            "  /api/v1/signals               raised signals, and what happened lately\n"
                            "  /-/healthy, /-/ready          keepwell itself\n"
                            "  POST /api/v1/heartbeat/SERVICE\n"
                            "  POST /api/v1/maintenance/SERVICE?note=..., POST /api/v1/resume/SERVICE, POST "
                            "/-/reload (same host only)",
                            version));
}

}  // namespace keepwell
