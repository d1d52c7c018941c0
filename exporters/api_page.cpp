// What people look at: the status page, its files and live updates, and badges.
#include "exporters/api.hpp"
#include "exporters/assets.hpp"
#include "exporters/badge.hpp"
#include "exporters/status.hpp"

namespace keepwell {

namespace {

// Nothing from elsewhere, nothing inline; no page of others may frame it.
constexpr std::string_view page_policy =
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

bool has_tag(const std::string& if_none_match, const std::string& tag)
{
    return if_none_match == "*" || if_none_match.find(tag) != std::string::npos;
}

// What has a tag, or only the word that the asker's copy is still good (RFC 9110 §13.1.2).
ApiResponse tagged(const ApiRequest& request, std::string_view type, std::string body, std::string tag,
                   std::string caching)
{
    ApiResponse response{has_tag(request.if_none_match, tag) ? 304 : 200, std::string{type}};
    if (response.status == 200)
        response.body = std::move(body);
    response.headers = {{"ETag", std::move(tag)},
                        {"Cache-Control", std::move(caching)},
                        {"Content-Security-Policy", "default-src 'none'"}};
    return response;
}

}  // namespace

ApiResponse Api::status_page(const ApiRequest& request)
{
    ApiResponse response{200, "text/html; charset=utf-8"};
    response.headers = {{"Content-Security-Policy", std::string{page_policy}},
                        {"Referrer-Policy", "same-origin"}};
    response.body.reserve(usual_page_size_);
    response.more = [this, why = refusal(request, true), cursor = Page::Cursor{}](std::string& body) mutable {
        const bool more = page_.write(body, cursor, why);
        if (!more)
            usual_page_size_ = roomy(body.size());
        return more;
    };
    return response;
}

ApiResponse Api::asset(const std::string& name, const ApiRequest& request) const
{
    const auto* found = find_asset(name);
    if (!found || name == "page.html")  // which is no page yet
        return {404, "application/json", error_json("no such file")};
    const auto asked = request.query.find("v");
    const bool lasting = asked != request.query.end() && asked->second == found->tag;
    return tagged(request, found->type(), std::string{found->content}, "\"" + std::string{found->tag} + "\"",
                  lasting ? "public, max-age=31536000, immutable" : "no-cache");
}

// `SERVICE.svg`. Asked again each time, because those who show badges keep them for long otherwise.
ApiResponse Api::badge(const std::string& name, const ApiRequest& request) const
{
    constexpr std::string_view suffix = ".svg";
    const auto& monitor = watcher_.monitor();
    const auto id = name.ends_with(suffix) ? monitor.stack().find(name.substr(0, name.size() - suffix.size()))
                                           : std::nullopt;
    if (!id)
        return {404, "application/json", error_json("no such service; a badge is /badge/SERVICE.svg")};
    const auto state = name_of(monitor.service(*id).state);
    return tagged(request, "image/svg+xml", badge_svg(monitor.stack().services()[*id].spec->name, state),
                  "\"" + std::string{state} + "\"", "no-cache, max-age=0");
}

ApiResponse Api::events(const ApiRequest& request)
{
    ApiResponse response{200, "text/event-stream"};
    response.headers = {{"X-Accel-Buffering", "no"}};  // or nginx would keep events until they are many
    if (request.method == "HEAD")
        return response;
    const auto since = request.query.find("since");
    response.events = page_.follow(!request.last_event_id.empty() ? request.last_event_id
                                   : since == request.query.end() ? std::string{}
                                                                  : since->second);
    if (!response.events)
        return {503,
                "application/json",
                error_json("too many follow the events; try again later"),
                {{"Retry-After", "10"}}};
    return response;
}

}  // namespace keepwell
