#include "exporters/blackbox/redirect.hpp"

#include "exporters/blackbox/target.hpp"
#include "probes/curl.hpp"
#include "probes/probe.hpp"

#include <algorithm>

namespace keepwell::blackbox {

namespace {

constexpr std::size_t most_cookies = 50;

void drop(std::vector<HttpHeader>& headers, std::string_view name)
{
    std::erase_if(headers, [&](const auto& each) { return same_name(each.name, name); });
}

// What was meant for the first host only.
void strip(HttpRequest& request)
{
    for (const auto* name : {"Host", "Authorization", "Cookie", "Www-Authenticate"})
        drop(request.headers, name);
    request.username.clear();
    request.password = {};
    request.bearer_token = {};
    request.tls.certificate_file.clear();
    request.tls.key_file.clear();
}

}  // namespace

std::string header_of(const HttpReply& reply, std::string_view name)
{
    const auto found =
        std::ranges::find_if(reply.headers, [&](const auto& each) { return same_name(each.name, name); });
    return found == reply.headers.end() ? std::string{} : found->value;
}

bool Redirects::is_redirect(const HttpReply& reply)
{
    const auto status = reply.status;
    return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           !header_of(reply, "Location").empty();
}

// Name and value; their attributes are for browsers that stay.
void Redirects::keep_cookies(const std::string& host, const HttpReply& reply)
{
    for (const auto& [name, value] : reply.headers) {
        const auto equals = value.find('=');
        if (!same_name(name, "Set-Cookie") || equals == value.npos || equals == 0)
            continue;
        auto& jar = cookies_[host];
        const auto end = value.find(';');
        if (end == value.npos || equals < end)
            if (jar.size() < most_cookies)
                jar[value.substr(0, equals)] =
                    value.substr(equals + 1, end == value.npos ? end : end - equals - 1);
    }
}

std::optional<HttpRequest> Redirects::next(const HttpRequest& request, const HttpReply& reply)
{
    if (!is_redirect(reply))
        return {};
    const auto location = header_of(reply, "Location");
    auto url = Url::parse(encoded(absolute_url(request.url, location)));
    if (!url)
        throw Failure{rejected(Reason::protocol_error, "redirected to an address that is not understood")};
    keep_cookies(request.url.address().host, reply);

    auto next = request;
    const bool becomes_get = reply.status <= 303 && request.method != "HEAD";
    if (becomes_get) {
        next.method = "GET";
        next.body.clear();
        drop(next.headers, "Content-Type");
    }
    const bool same_host = url->address().host == request.url.address().host;
    if (!same_host) {
        next.connect_to.clear();
        next.tls.server_name.clear();
    }
    if (!same_host || (request.url.secure() && !url->secure()))
        strip(next);
    else if (location.contains("://"))
        drop(next.headers, "Host");
    next.url = *std::move(url);
    drop(next.headers, "Cookie");
    std::string cookies;
    for (const auto& [name, value] : cookies_[next.url.address().host])
        cookies += (cookies.empty() ? "" : "; ") + name + "=" + value;
    if (!cookies.empty())
        next.headers.push_back({"Cookie", std::move(cookies)});
    return next;
}

}  // namespace keepwell::blackbox
