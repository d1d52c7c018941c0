#include "deploy/app/site.hpp"

#include "deploy/app/log.hpp"

#include <fmt/format.h>
#include <array>
#include <chrono>
#include <exception>
#include <utility>

namespace keepwell::app {
namespace {

constexpr std::string_view fault_prefix = "/faults/";

std::string_view path_of(std::string_view target)
{
    std::string_view path = target.substr(0, target.find_first_of("?#"));
    while (path.size() > 1 && path.ends_with('/'))
        path.remove_suffix(1);
    return path;
}

std::string_view known_method(std::string_view method)
{
    static constexpr std::array<std::string_view, 7> known{"GET",   "HEAD",   "POST",   "PUT",
                                                           "PATCH", "DELETE", "OPTIONS"};
    for (const auto name : known)
        if (method == name)
            return name;
    return "other";
}

// Health checks and scrapes come every few seconds and say nothing while all is well.
Level level_of(std::string_view route, int status)
{
    if (status >= 500)
        return Level::warning;
    const bool routine = route.contains("health") || route == "/metrics";
    return routine ? Level::debug : Level::info;
}

}  // namespace

Response problem(int status, std::string_view text)
{
    std::string body = R"({"error":")";
    for (const char c : text)
        if (c == '"' || c == '\\')
            body.append(1, '\\').push_back(c);
        else
            body += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    return {.status = status, .body = body + "\"}\n"};
}

Site::Site(Metrics& metrics, Faults& faults) : metrics_{metrics}, faults_{faults}
{
    add("GET", "/metrics", [this](const Request&) {
        return Response{.body = metrics_.text(), .type = "text/plain; version=0.0.4; charset=utf-8"};
    });
}

void Site::add(std::string_view method, std::string_view path, Handler handler)
{
    routes_[std::string{path_of(path)}][std::string{method}] = std::move(handler);
}

bool Site::is_command(const Request& request) const
{
    return faults_.enabled() && request.method == "POST" && request.target.starts_with(fault_prefix);
}

Response Site::command(const Request& request) const
{
    const auto done = faults_.command(std::string_view{request.target}.substr(fault_prefix.size()));
    if (!done)
        return problem(400, "expected POST /faults/hang, error, slow?ms=N, leak?mb=N, crash or clear");
    return {.body = fmt::format("{{\"done\":\"{}\"}}\n", *done)};
}

Response Site::dispatch(const Request& request, std::string& route) const
{
    const auto entry = routes_.find(path_of(request.target));
    if (entry == routes_.end())
        return problem(404, "there is nothing under this path");
    route = entry->first;
    if (faults_.failing())
        return problem(500, "told to fail");
    const auto& methods = entry->second;
    const auto handler = methods.find(request.method == "HEAD" ? "GET" : request.method);
    if (handler != methods.end())
        return handler->second(request);
    Response refusal = problem(405, "the method is not allowed here");
    for (const auto& [method, unused] : methods)
        refusal.headers["Allow"] += (refusal.headers["Allow"].empty() ? "" : ", ") + method;
    return refusal;
}

Response Site::answer(const Request& request) const
{
    const auto start = std::chrono::steady_clock::now();
    std::string route = "other";
    Response response;
    try {
        if (is_command(request)) {
            route = "/faults";
            response = command(request);
        } else {
            response = dispatch(request, route);
        }
    } catch (const std::exception& error) {
        log(Level::error, "request failed", {{"path", route}, {"error", error.what()}});
        response = problem(500, "internal error; the log has it");
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    record(request, route, response, seconds.count());
    return response;
}

void Site::record(const Request& request, std::string_view route, const Response& response,
                  double seconds) const
{
    const auto method = known_method(request.method);
    metrics_.request(route, method, response.status, seconds);
    log(level_of(route, response.status), "request",
        {{"method", std::string{method}},
         {"path", std::string{path_of(request.target)}},
         {"status", fmt::to_string(response.status)},
         {"ms", fmt::format("{:.1f}", seconds * 1000)}});
}

}  // namespace keepwell::app
