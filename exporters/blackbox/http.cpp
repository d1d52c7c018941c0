#include "exporters/blackbox/attempt.hpp"
#include "exporters/blackbox/lookup.hpp"
#include "exporters/blackbox/redirect.hpp"
#include "exporters/blackbox/target.hpp"
#include "probes/deadline.hpp"
#include "probes/resolver.hpp"
#include "probes/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace keepwell::blackbox {

namespace {

constexpr Gauge phases{"probe_http_duration_seconds", "Time of each phase, summed over redirects."};
constexpr Gauge content_length{"probe_http_content_length", "The answer's Content-Length; -1: it has none."};
constexpr Gauge body_length{"probe_http_uncompressed_body_length", "Bytes of the body, uncompressed."};
constexpr Gauge redirects{"probe_http_redirects", "How many redirects there were."};
constexpr Gauge ssl{"probe_http_ssl", "Whether the last answer came under TLS."};
constexpr Gauge status_code{"probe_http_status_code", "The last answer's status; 0: there was no answer."};
constexpr Gauge version{"probe_http_version", "The last answer's version of HTTP."};
constexpr Gauge last_modified{"probe_http_last_modified_timestamp_seconds",
                              "The last answer's Last-Modified, in Unix time."};

constexpr int most_redirects = 10;
constexpr std::uint64_t longest_body = std::uint64_t{1} << 30;   // reading stops there
constexpr std::uint64_t most_searched = std::uint64_t{1} << 20;  // by regular expressions, unless limited

// What the exchange came to, shared with a coroutine that may outlive its deadline.
struct Exchange {
    Exchange(HttpRequest first, Clock::time_point deadline) : request{std::move(first)}, progress{deadline} {}

    HttpRequest request;
    Progress progress;
    HttpReply reply{};
    Redirects redirects{};
    int redirected = 0;
    bool refused_redirect = false;  // the last one was not followed
};

// ---- the request ----

// `user:password@` of the URL, which becomes basic authentication.
std::string without_user(std::string target, HttpRequest& request)
{
    const auto begin = target.find("://") + 3;
    const auto end = std::min(target.find_first_of("/?#", begin), target.size());
    const auto at = target.rfind('@', end);
    if (at == target.npos || at < begin || at > end)
        return target;
    const auto user = target.substr(begin, at - begin);
    const auto colon = user.find(':');
    request.username = user.substr(0, colon);
    request.password = Secret{colon == user.npos ? "" : user.substr(colon + 1)};
    return target.erase(begin, at + 1 - begin);
}

std::string host_header(const HttpModule& module)
{
    for (const auto& [name, value] : module.headers)
        if (same_name(name, "Host"))
            return value;
    return {};
}

void set_credentials(const HttpModule& module, HttpRequest& request)
{
    if (module.basic_auth) {
        request.username = module.basic_auth->username;
        request.password = module.basic_auth->password;
    }
    request.bearer_token = module.bearer_token;
    if (module.authorization)
        request.headers.push_back(
            {"Authorization", module.authorization->type + " " + module.authorization->credentials.reveal()});
}

bool has_body_rules(const HttpModule& module)
{
    return !module.fail_if_body_matches_regexp.empty() || !module.fail_if_body_not_matches_regexp.empty();
}

HttpRequest request_for(const HttpModule& module, HttpRequest request)
{
    request.method = module.method.empty() ? "GET" : module.method;
    for (const auto& [name, value] : module.headers)
        request.headers.push_back({name, value});
    request.body = module.body.reveal();
    set_credentials(module, request);
    request.tls = module.tls_config.options();
    if (request.tls.server_name.empty())
        if (const auto host = host_header(module); !host.empty()) {
            const auto split = split_port(host);
            request.tls.server_name = split ? split->first : host;
        }
    if (!module.enable_http2)
        request.version = HttpVersion::http1;
    if (!same_name(module.compression, "identity"))
        request.coding = module.compression;
    request.max_body = module.body_size_limit.bytes ? module.body_size_limit.bytes : longest_body;
    if (has_body_rules(module))
        request.keep_body = module.body_size_limit.bytes ? module.body_size_limit.bytes : most_searched;
    request.keep_headers = true;
    return request;
}

// ---- the exchange ----

asio::awaitable<bool> exchange(std::shared_ptr<Exchange> state, SharedAttempt attempt)
{
    const auto& module = attempt->module().http;
    const bool follows = module.follow_redirects && !module.no_follow_redirects;
    for (;;) {
        attempt->info("asks", {{"method", state->request.method}, {"url", state->request.url.text()}});
        state->reply = {};
        co_await transfer(state->request, state->progress, state->reply);
        if (!Redirects::is_redirect(state->reply))
            co_return true;
        ++state->redirected;
        state->refused_redirect = !follows || state->redirected > most_redirects;
        if (state->refused_redirect)
            co_return true;
        auto next = state->redirects.next(state->request, state->reply);
        state->request = *std::move(next);
        attempt->info("redirected", {{"status", std::to_string(state->reply.status)}});
        state->reply = {};
    }
}

// Why there is no (whole) answer; empty when there is.
asio::awaitable<std::string> exchanged(std::shared_ptr<Exchange> state, SharedAttempt attempt)
{
    try {
        const auto done = co_await within(attempt->deadline(), exchange(state, attempt));
        co_return done ? ""
                       : "no answer in time, in phase " + std::string{to_string(state->progress.phase())};
    } catch (const Failure& failure) {
        co_return failure.verdict.detail;
    } catch (const boost::system::system_error& error) {
        co_return verdict_of(error.code()).detail;
    }
}

// ---- what is to be said of the answer ----

double length_said(const HttpReply& reply, bool is_head)
{
    const auto coding = header_of(reply, "Transfer-Encoding");
    const auto text = header_of(reply, "Content-Length");
    double length = -1;
    std::from_chars(text.data(), text.data() + text.size(), length);
    if (!text.empty() && coding.empty())
        return length;
    const bool never_has_one = reply.status == 204 || (reply.version >= 2 && reply.body_bytes == 0);
    return never_has_one && !is_head && coding.empty() ? 0 : -1;
}

// An HTTP date (RFC 9110 §5.6.7) as Unix time; nothing when it is none.
std::optional<double> time_of(const std::string& text)
{
    for (const auto* format :
         {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        if (const char* end = ::strptime(text.c_str(), format, &parts); end && *end == '\0')
            return static_cast<double>(::timegm(&parts));
    }
    return {};
}

bool has_good_status(const HttpModule& module, const HttpReply& reply, Attempt& attempt)
{
    const auto& wanted = module.valid_status_codes;
    const bool good =
        wanted.empty() ? reply.status / 100 == 2 : std::ranges::find(wanted, reply.status) != wanted.end();
    return good || attempt.fail("the status is not a valid one", {{"status", std::to_string(reply.status)}});
}

std::vector<std::string_view> values_of(const HttpReply& reply, std::string_view name)
{
    std::vector<std::string_view> values;
    for (const auto& each : reply.headers)
        if (same_name(each.name, name))
            values.push_back(each.value);
    return values;
}

// Whether the headers are as one rule says; `wanted`: one of the values must match, else none may.
bool is_met(const HeaderMatch& rule, bool wanted, const HttpReply& reply, Attempt& attempt)
{
    const auto values = values_of(reply, rule.header);
    if (values.empty())
        return rule.allow_missing || attempt.fail("a header is missing", {{"header", rule.header}});
    const bool matches = std::ranges::any_of(values, [&](auto value) { return rule.regexp.found_in(value); });
    return matches == wanted || attempt.fail(wanted ? "a header does not match" : "a header matches",
                                             {{"header", rule.header}, {"regexp", rule.regexp.text()}});
}

bool has_good_headers(const HttpModule& module, const HttpReply& reply, Attempt& attempt)
{
    const auto met = [&](const auto& rules, bool wanted) {
        return std::ranges::all_of(rules,
                                   [&](const auto& rule) { return is_met(rule, wanted, reply, attempt); });
    };
    return met(module.fail_if_header_matches, false) && met(module.fail_if_header_not_matches, true);
}

bool has_good_body(const HttpModule& module, const HttpReply& reply, Attempt& attempt)
{
    for (const auto& pattern : module.fail_if_body_matches_regexp)
        if (pattern.found_in(reply.body))
            return attempt.fail("the body matches", {{"regexp", pattern.text()}});
    for (const auto& pattern : module.fail_if_body_not_matches_regexp)
        if (!pattern.found_in(reply.body))
            return attempt.fail("the body does not match", {{"regexp", pattern.text()}});
    return true;
}

// ---- the judgement, in blackbox_exporter's order, which decides what failed_due_to_regex says ----

bool judged_by_rules(const HttpModule& module, const Exchange& state, bool whole, Attempt& attempt)
{
    const auto& reply = state.reply;
    if (!has_good_status(module, reply, attempt))
        return false;
    if (!has_good_headers(module, reply, attempt)) {
        attempt.sheet.set(gauge::failed_regex, 1);
        return false;
    }
    if (!state.request.coding.empty() &&
        !same_name(header_of(reply, "Content-Encoding"), state.request.coding)) {
        attempt.sheet.set(body_length, 0);
        return attempt.fail("the body is not compressed as it should be",
                            {{"compression", state.request.coding}});
    }
    if (has_body_rules(module) && !(whole && has_good_body(module, reply, attempt))) {
        attempt.sheet.set(gauge::failed_regex, 1);
        return false;
    }
    return whole;
}

bool has_good_version(const HttpModule& module, const HttpReply& reply, Attempt& attempt)
{
    const auto said = fmt::format("HTTP/{:.1f}", reply.version);
    const auto& valid = module.valid_http_versions;
    return valid.empty() || std::ranges::find(valid, said) != valid.end() ||
           attempt.fail("the version of HTTP is not a valid one", {{"version", said}});
}

bool judge(const HttpModule& module, const Exchange& state, bool whole, Attempt& attempt)
{
    const auto& reply = state.reply;
    auto& sheet = attempt.sheet;
    sheet.set(status_code, reply.status);
    sheet.set(version, reply.version);
    sheet.set(content_length, length_said(reply, state.request.method == "HEAD"));
    sheet.set(body_length, state.refused_redirect ? 0 : static_cast<double>(reply.body_bytes));
    if (const auto modified = time_of(header_of(reply, "Last-Modified")))
        sheet.set(last_modified, *modified);
    if (module.body_size_limit.bytes && reply.body_cut)
        whole = attempt.fail("the body is longer than body_size_limit");
    bool success = judged_by_rules(module, state, whole, attempt);
    success = has_good_version(module, reply, attempt) && success;
    if (reply.tls) {
        sheet.set(ssl, 1);
        note_tls(sheet, *reply.tls);
    }
    if (reply.tls && module.fail_if_ssl)
        return attempt.fail("the last answer came under TLS");
    if (!reply.tls && module.fail_if_not_ssl)
        return attempt.fail("the last answer came without TLS");
    return success;
}

void set_to_nothing(Sheet& sheet)
{
    for (const auto& each :
         {content_length, body_length, redirects, ssl, status_code, version, gauge::failed_regex})
        sheet.set(each, 0);
}

void note_phases(Exchange& state, Sheet& sheet, std::optional<double> resolved)
{
    ProbeResult result;
    state.progress.finish(result);
    const auto took = [&](Phase phase) {
        return seconds(result.phase_took[static_cast<std::size_t>(phase)]);
    };
    if (resolved)
        sheet.set_phase(phases, "resolve", *resolved + took(Phase::resolve));
    sheet.set_phase(phases, "connect", took(Phase::connect));
    sheet.set_phase(phases, "tls", took(Phase::tls));
    sheet.set_phase(phases, "processing", took(Phase::request));
    sheet.set_phase(phases, "transfer", took(Phase::reply));
}

// libcurl would resolve the proxy's name in a thread of its own, where nobody else sees it.
asio::awaitable<std::string> proxy_for(const HttpModule& module, SharedAttempt attempt)
{
    auto url = Url::parse(module.proxy_url);
    if (!url)
        co_return module.proxy_url;  // with credentials
    const auto addresses = co_await resolve(url->address().host, attempt->deadline());
    co_return url->with_host(addresses.front().to_string()).origin();
}

}  // namespace

asio::awaitable<bool> probe_http(SharedAttempt attempt)
{
    const auto& module = attempt->module().http;
    auto& sheet = attempt->sheet;
    set_to_nothing(sheet);
    auto target = attempt->target();
    if (!target.starts_with("http://") && !target.starts_with("https://"))
        target = "http://" + target;
    HttpRequest request;
    auto url = Url::parse(encoded(without_user(std::move(target), request)));
    if (!url)
        co_return attempt->fail("the target is no URL", {{"why", url.error()}});
    request.url = *std::move(url);
    request = request_for(module, std::move(request));

    if (!module.proxy_url.empty())
        request.proxy = co_await proxy_for(module, attempt);
    std::optional<double> resolved;  // how long that took
    if (module.proxy_url.empty() || !module.skip_resolve_phase_with_proxy) {
        const auto begun = Clock::now();
        const auto address = co_await look_up(request.url.address().host, module.preferred_ip_protocol,
                                              module.ip_protocol_fallback, attempt);
        resolved = seconds(Clock::now() - begun);
        sheet.set_phase(phases, "resolve", *resolved);
        if (!address)
            co_return false;
        request.connect_to = address->to_string();
    }
    const auto state = std::make_shared<Exchange>(std::move(request), attempt->deadline());
    const auto failure = co_await exchanged(state, attempt);
    if (!failure.empty())
        attempt->fail(failure);
    note_phases(*state, sheet, resolved);
    sheet.set(redirects, state->redirected);
    if (!state->reply.has_head)
        co_return false;
    attempt->info("answered", {{"status", std::to_string(state->reply.status)},
                               {"body_bytes", std::to_string(state->reply.body_bytes)}});
    co_return judge(module, *state, failure.empty(), *attempt);
}

}  // namespace keepwell::blackbox
