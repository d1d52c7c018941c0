#include "probes/http.hpp"

#include "probes/http_field.hpp"
#include "probes/printable.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace keepwell {

namespace {

constexpr std::uint64_t excerpt_bytes = 256;  // of the body, kept for people even when no check reads it

// ---- the request, and those that redirects make of it ----

bool checks_body(const HttpSpec& spec)
{
    return !spec.body_matches.empty() || !spec.body_not_matches.empty() || !spec.json.empty();
}

HttpRequest request_for(const HttpSpec& spec)
{
    HttpRequest request{.url = spec.url,
                        .method = spec.method,
                        .body = spec.body,
                        .username = spec.username,
                        .password = spec.password,
                        .bearer_token = spec.bearer_token,
                        .tls = spec.tls,
                        .version = spec.http_version,
                        .unix_socket = spec.unix_socket,
                        .connect_to = spec.connect_to,
                        .reuse = spec.reuse,
                        .max_body = spec.max_body.bytes,
                        .keep_body = checks_body(spec) ? spec.max_body.bytes : excerpt_bytes,
                        .keep_headers = !spec.header_checks.empty()};
    for (const auto& [name, value] : spec.headers)
        request.headers.push_back({name, value});
    return request;
}

bool is_redirect(const HttpReply& reply) { return reply.status / 100 == 3 && !reply.redirect.empty(); }

// What is left of a request that goes to another host: nothing that was meant for the first one only.
HttpRequest stripped(const HttpRequest& request)
{
    return {.url = request.url,
            .method = request.method,
            .tls = {.ca_file = request.tls.ca_file, .insecure = request.tls.insecure},
            .version = request.version,
            .reuse = request.reuse,
            .max_body = request.max_body,
            .keep_body = request.keep_body,
            .keep_headers = request.keep_headers};
}

// The request that a redirect asks for (RFC 9110 §15.4), as browsers understand it: 303, and 301 or 302 after
// a POST, become a GET. Nothing when it would carry our body to another host.
std::optional<HttpRequest> redirected(const HttpRequest& request, const HttpReply& reply)
{
    auto url = Url::parse(reply.redirect);
    if (!url)
        throw Failure{rejected(Reason::protocol_error, "redirected to an address that is not understood")};
    auto next = request;
    const bool moved_post = (reply.status == 301 || reply.status == 302) && request.method == "POST";
    if (moved_post || (reply.status == 303 && request.method != "HEAD")) {
        next.method = "GET";
        next.body.clear();
    }
    if (!url->same_origin(request.url)) {
        if (!next.body.empty())
            return std::nullopt;
        next = stripped(next);
    }
    next.url = *std::move(url);
    return next;
}

// Makes the request the one that a redirect asks for; false when that is not to be made. Not a part of the
// coroutine, whose frame would have to hold two requests.
bool follow(HttpRequest& request, const HttpReply& reply, int redirects, int most)
{
    auto next = redirected(request, reply);
    if (!next)
        return false;
    if (redirects == most)
        throw Failure{rejected(
            Reason::too_many_redirects,
            "redirected more than " + std::to_string(redirects) + " times, at last to " + next->url.text())};
    request = *std::move(next);
    return true;
}

// ---- the checks ----

// The beginning of the body helps at 3 a.m., but a server may repeat in it what it was sent: it is shown only
// when the request held nothing that could be a secret.
std::string shown_body(const HttpSpec& spec, const HttpReply& reply)
{
    const bool discreet = !spec.password.empty() || !spec.bearer_token.empty() || !spec.headers.empty() ||
                          !spec.body.empty() || spec.url.has_query();
    if (discreet || reply.body.empty())
        return {};
    return ": " + excerpt(reply.body);
}

std::optional<Verdict> check_status(const HttpSpec& spec, const HttpReply& reply)
{
    if (spec.status.contains(reply.status))
        return std::nullopt;
    const auto status = "status " + std::to_string(reply.status);
    if (is_redirect(reply) && !spec.follow_redirects)
        return rejected(Reason::too_many_redirects, status + ", and redirects are not followed");
    if (reply.status == 401)
        return spec.password.empty() && spec.bearer_token.empty()
                   ? rejected(Reason::authentication_required, status + ": it asks for credentials")
                   : rejected(Reason::authentication_failed, status + ": it refused our credentials");
    return rejected(Reason::status_mismatch,
                    status + ", expected " + spec.status.text() + shown_body(spec, reply));
}

std::optional<Verdict> check_connection(const HttpSpec& spec, const HttpReply& reply)
{
    if (spec.http_version == HttpVersion::http2 && reply.version < 2)
        return rejected(Reason::protocol_error, "it answered in HTTP/1, expected HTTP/2");
    if (spec.certificate_min_days == 0)
        return std::nullopt;
    if (!reply.tls)
        return rejected(Reason::tls_failure, "it answered without TLS, so there is no certificate to check");
    return expires_within(*reply.tls, spec.certificate_min_days);
}

std::optional<Verdict> check_header(const HeaderCheck& check, const HttpReply& reply)
{
    bool found = false, matched = false;
    for (const auto& [name, value] : reply.headers) {
        if (!same_name(name, check.name))
            continue;
        found = true;
        matched = matched || check.matches.found_in(value);
        if (!check.not_matches.empty() && check.not_matches.found_in(value))
            return rejected(Reason::header_mismatch,
                            "header " + check.name + " matches " + excerpt(check.not_matches.text()));
    }
    if (check.absent && found)
        return rejected(Reason::header_mismatch, "header " + check.name + " is there, expected it absent");
    if (check.absent || matched || (!found && check.matches.empty() && !check.not_matches.empty()))
        return std::nullopt;
    if (!found)
        return rejected(Reason::header_mismatch, "header " + check.name + " is missing");
    return rejected(Reason::header_mismatch,
                    "header " + check.name + " does not match " + excerpt(check.matches.text()));
}

std::optional<Verdict> check_body(const HttpSpec& spec, const HttpReply& reply)
{
    const auto where =
        reply.body_cut ? " in the first " + std::to_string(reply.body_bytes) + " bytes" : std::string{};
    for (const auto& pattern : spec.body_matches)
        if (!pattern.found_in(reply.body))
            return rejected(Reason::body_mismatch, "the body does not match " + excerpt(pattern.text()) +
                                                       where + shown_body(spec, reply));
    for (const auto& pattern : spec.body_not_matches)
        if (pattern.found_in(reply.body))
            return rejected(Reason::body_mismatch,
                            "the body matches " + excerpt(pattern.text()) + shown_body(spec, reply));
    if (spec.json.empty())
        return std::nullopt;
    if (reply.body_cut)
        return rejected(Reason::reply_too_large,
                        "the JSON body is larger than max_body, " + spec.max_body.text());
    if (const auto mismatch = json_mismatch(reply.body, spec.json))
        return rejected(Reason::json_mismatch, *mismatch);
    return std::nullopt;
}

Verdict judge(const HttpSpec& spec, const HttpReply& reply)
{
    if (auto verdict = check_status(spec, reply))
        return *verdict;
    if (auto verdict = check_connection(spec, reply))
        return *verdict;
    for (const auto& check : spec.header_checks)
        if (auto verdict = check_header(check, reply))
            return *verdict;
    if (auto verdict = check_body(spec, reply))
        return *verdict;
    return ok("status " + std::to_string(reply.status));
}

// ---- what no single field can know ----

void header_faults(const HttpSpec& spec, std::vector<std::string>& faults)
{
    for (const auto& [name, value] : spec.headers) {
        if (auto fault = header_fault(name, value); !fault.empty())
            faults.push_back(std::move(fault));
        else if (same_name(name, "Authorization") && (!spec.bearer_token.empty() || !spec.password.empty()))
            faults.push_back("headers: Authorization is set by bearer_token, or by username and password");
        else if (same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding"))
            faults.push_back("headers: " + name + " is set from the body");
    }
    for (const auto& check : spec.header_checks) {
        if (!is_token(check.name))
            faults.push_back("header_checks: \"" + excerpt(check.name) + "\" is not a header name");
        if (check.absent && !(check.matches.empty() && check.not_matches.empty()))
            faults.push_back("header_checks: " + check.name + " cannot be absent and match");
    }
}

void connection_faults(const HttpSpec& spec, std::vector<std::string>& faults)
{
    if (!spec.username.empty() && !spec.bearer_token.empty())
        faults.push_back("username and bearer_token exclude each other");
    if (spec.username.contains(':'))
        faults.push_back("username: basic authentication allows no ':' in it");
    if (auto fault = bearer_token_fault(spec.bearer_token.reveal()); !fault.empty())
        faults.push_back(std::move(fault));
    if (!spec.unix_socket.empty() && !spec.connect_to.empty())
        faults.push_back("unix_socket and connect_to exclude each other");
    if (spec.unix_socket.size() >= 108)
        faults.push_back("unix_socket: the path of a socket has at most 107 bytes");
    const bool needs_tls = spec.tls != TlsOptions{} || spec.certificate_min_days > 0;
    if (needs_tls && !spec.url.secure() && !spec.follow_redirects)
        faults.push_back("tls and certificate_min_days need a URL that begins with https://");
    if (!spec.connect_to.empty() && !Address::parse(spec.connect_to) &&
        !is_numeric_address(spec.connect_to) && !Address::parse(spec.connect_to + ":1"))
        faults.push_back("connect_to: expected a host, a numeric address, or one of them with a port");
}

}  // namespace

std::vector<std::string> HttpSpec::faults() const
{
    std::vector<std::string> faults;
    if (auto fault = method_fault(method); !fault.empty())
        faults.push_back(std::move(fault));
    header_faults(*this, faults);
    connection_faults(*this, faults);
    for (const auto& check : json)
        if (const auto fault = pointer_fault(check.pointer))
            faults.push_back("json: " + *fault);
    return faults;
}

asio::awaitable<Verdict> probe(const HttpSpec& spec, Progress& progress)
{
    auto request = request_for(spec);
    HttpReply reply = co_await transfer(request, progress);
    int redirects = 0;
    while (spec.follow_redirects && is_redirect(reply) && !spec.status.contains(reply.status)) {
        if (!follow(request, reply, redirects, spec.max_redirects))
            break;
        ++redirects;
        reply = co_await transfer(request, progress);
    }
    progress.note("http_status_code", reply.status);
    progress.note("http_version", reply.version);
    progress.note("body_bytes", static_cast<double>(reply.body_bytes));
    progress.note("redirects", redirects);
    co_return judge(spec, reply);
}

}  // namespace keepwell
