#include "exporters/blackbox/attempt.hpp"
#include "exporters/blackbox/lookup.hpp"
#include "exporters/blackbox/redirect.hpp"
#include "exporters/exposition.hpp"
#include "probes/deadline.hpp"
#include "probes/runner.hpp"

#include <array>
#include <charconv>

namespace keepwell::blackbox {

namespace {

constexpr Gauge phases{"probe_grpc_duration_seconds", "Time of each phase."};
constexpr Gauge ssl{"probe_grpc_ssl", "Whether the answer came under TLS."};
constexpr Gauge status_code{"probe_grpc_status_code", "The answer's status of gRPC."};
constexpr Gauge health{"probe_grpc_healthcheck_response",
                       "1 for what the server says of its health, else 0."};

// HealthCheckResponse.ServingStatus of grpc.health.v1, by number.
constexpr std::array<std::string_view, 4> statuses{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
constexpr std::size_t serving = 1;
constexpr std::uint64_t longest_answer = 64 << 10;

// Numbers of gRPC's status codes.
constexpr int code_unknown = 2, code_deadline_exceeded = 4, code_unimplemented = 12, code_internal = 13,
              code_unavailable = 14;

// An unsigned number in groups of seven bits.
void put_varint(std::string& bytes, std::uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        bytes += static_cast<char>((value & 0x7f) | 0x80);
    bytes += static_cast<char>(value);
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes)
{
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fU} << shift;
        if (byte < 0x80)
            return value;
    }
    return {};
}

// A HealthCheckRequest behind gRPC's prefix: not compressed, four bytes of length.
std::string framed_request(const std::string& service)
{
    std::string message;
    if (!service.empty()) {
        message = '\x0a';  // field 1, of a length
        put_varint(message, service.size());
        message += service;
    }
    std::string frame(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8)
        frame += static_cast<char>(message.size() >> shift & 0xff);
    return frame + message;
}

// The number in field 1 of a HealthCheckResponse; nothing when it is none. An empty message says UNKNOWN.
std::optional<std::uint64_t> status_in(std::string_view body)
{
    if (body.size() < 5 || body[0] != '\0')
        return {};
    body.remove_prefix(5);
    std::uint64_t status = 0;
    while (!body.empty()) {
        const auto key = take_varint(body);
        if (!key || (*key & 7) != 0)  // a kind of field that the message does not have
            return {};
        const auto value = take_varint(body);
        if (!value)
            return {};
        if (*key >> 3 == 1)
            status = *value;
    }
    return status;
}

struct Call {
    Call(HttpRequest of, Clock::time_point deadline) : request{std::move(of)}, progress{deadline} {}

    HttpRequest request;
    Progress progress;
    HttpReply reply{};
};

asio::awaitable<bool> make(std::shared_ptr<Call> call)
{
    co_await transfer(call->request, call->progress, call->reply);
    co_return true;
}

// The gRPC status that the call came to, by gRPC's own mapping for answers of others.
asio::awaitable<int> status_of(std::shared_ptr<Call> call, SharedAttempt attempt)
{
    std::string why;
    try {
        const auto done = co_await within(attempt->deadline(), make(call));
        if (!done) {
            attempt->fail("no answer in time");
            co_return code_deadline_exceeded;
        }
    } catch (const Failure& failure) {
        why = failure.verdict.detail;
    } catch (const boost::system::system_error& error) {
        why = verdict_of(error.code()).detail;
    }
    if (!why.empty()) {
        attempt->fail(why);
        co_return code_unavailable;
    }
    const auto said = header_of(call->reply, "grpc-status");
    int code = code_unknown;
    const auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), code);
    if (said.empty() || error != std::errc{} || end != said.data() + said.size()) {
        attempt->fail("the answer has no status of gRPC",
                      {{"http_status", std::to_string(call->reply.status)}});
        const auto http = call->reply.status;
        co_return http == 404            ? code_unimplemented
        : http == 429 || http / 100 == 5 ? code_unavailable
        : http == 400                    ? code_internal
                                         : code_unknown;
    }
    if (code != 0)
        attempt->fail("the call failed", {{"grpc_status", std::to_string(code)}});
    co_return code;
}

HttpRequest request_for(const GrpcModule& module, Url url)
{
    HttpRequest request{.url = std::move(url), .method = "POST", .body = framed_request(module.service)};
    request.headers = {{"Content-Type", "application/grpc"}, {"TE", "trailers"}};
    request.tls = module.tls_config.options();
    request.version = HttpVersion::http2;
    request.max_body = request.keep_body = longest_answer;
    request.keep_headers = true;
    return request;
}

// The target as the URL of the call; gRPC's targets have no scheme.
std::expected<Url, std::string> url_of(const Attempt& attempt)
{
    std::string_view host = attempt.target();
    if (const auto scheme = host.find("://"); scheme != host.npos)
        host.remove_prefix(scheme + 3);
    host = host.substr(0, host.find('/'));
    return Url::parse((attempt.module().grpc.tls ? "https://" : "http://") + std::string{host} +
                      "/grpc.health.v1.Health/Check");
}

bool note_health(int code, const HttpReply& reply, Attempt& attempt)
{
    auto& sheet = attempt.sheet;
    for (const auto name : statuses)
        sheet.set(health, label("serving_status", name), 0);
    if (code != 0)
        return false;
    const auto status = status_in(reply.body);
    if (!status || *status >= statuses.size())
        return attempt.fail("the answer is not understood");
    sheet.set(health, label("serving_status", statuses[*status]), 1);
    return *status == serving || attempt.fail("not serving", {{"status", std::string{statuses[*status]}}});
}

}  // namespace

asio::awaitable<bool> probe_grpc(SharedAttempt attempt)
{
    const auto& module = attempt->module().grpc;
    auto& sheet = attempt->sheet;
    sheet.set_phase(phases, "resolve", 0);
    for (const auto& each : {ssl, status_code, gauge::certificate_expiry})
        sheet.set(each, 0);
    auto url = url_of(*attempt);
    if (!url)
        co_return attempt->fail("the target is not host:port", {{"why", url.error()}});
    const auto begun = Clock::now();
    const auto address = co_await look_up(url->address().host, module.preferred_ip_protocol,
                                          module.ip_protocol_fallback, attempt);
    const auto resolved = Clock::now();
    sheet.set_phase(phases, "resolve", seconds(resolved - begun));
    if (!address)
        co_return false;
    auto request = request_for(module, *std::move(url));
    request.connect_to = address->to_string();
    const auto call = std::make_shared<Call>(std::move(request), attempt->deadline());
    const auto code = co_await status_of(call, attempt);
    sheet.set_phase(phases, "check", seconds(Clock::now() - resolved));
    sheet.set(status_code, code);
    if (code == 0 && call->reply.tls) {
        sheet.set(ssl, 1);
        note_tls(sheet, *call->reply.tls);
    }
    co_return note_health(code, call->reply, *attempt);
}

}  // namespace keepwell::blackbox
