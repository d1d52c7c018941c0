#include "exporters/blackbox/attempt.hpp"

#include "daemon/timestamp.hpp"
#include "exporters/blackbox/target.hpp"
#include "exporters/exposition.hpp"
#include "probes/deadline.hpp"
#include "probes/runner.hpp"

#include <fmt/format.h>

namespace keepwell::blackbox {

namespace {

// Probers end by themselves at the deadline if they have something to say then.
constexpr auto grace = std::chrono::milliseconds{10};

// Now, as rfc3339() has it; what is the same for a whole second is made once.
std::string now_text()
{
    using namespace std::chrono;
    thread_local sys_seconds last{};
    thread_local std::string prefix;
    const auto now = floor<milliseconds>(system_clock::now());
    const auto second = floor<std::chrono::seconds>(now);
    if (second != last || prefix.empty())
        prefix = rfc3339(second).substr(0, 20);  // up to the milliseconds
    last = second;
    const auto rest = std::to_string(1000 + (now - second).count());
    return prefix + rest.substr(1) + "Z";
}

asio::awaitable<bool> made_by(SharedAttempt attempt)
{
    switch (attempt->module().prober) {
        case Prober::http: return probe_http(std::move(attempt));
        case Prober::tcp: return probe_tcp(std::move(attempt));
        case Prober::dns: return probe_dns(std::move(attempt));
        case Prober::icmp: return probe_icmp(std::move(attempt));
        case Prober::grpc: return probe_grpc(std::move(attempt));
        case Prober::unix_socket: return probe_unix(std::move(attempt));
    }
    return probe_http(std::move(attempt));
}

// The one place where an exception becomes a failure.
asio::awaitable<bool> guarded(SharedAttempt attempt)
{
    Verdict why;
    try {
        co_return co_await made_by(attempt);
    } catch (const Failure& failure) {
        why = failure.verdict;
    } catch (const boost::system::system_error& error) {
        why = verdict_of(error.code());
    } catch (const std::exception& error) {
        why = not_attempted(Reason::internal_error, error.what());
    }
    co_return attempt->fail(why.detail, {{"reason", std::string{to_string(why.reason)}}});
}

}  // namespace

void Attempt::note(LogLevel level, std::string_view message, std::initializer_list<LogField> fields)
{
    if (log_.size() > most_log_bytes)
        return;
    log_ += format_line(LogFormat::logfmt, now_text(), level, message, fields);
    log_ += '\n';
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

asio::awaitable<bool> run(SharedAttempt attempt)
{
    const auto limit = seconds(attempt->deadline() - attempt->started());
    attempt->info("begins", {{"module", attempt->module_name()},
                             {"target", shown_target(attempt->target())},
                             {"prober", std::string{name_of(attempt->module().prober)}},
                             {"timeout_seconds", fmt::format("{:.3g}", limit)}});
    const auto answer = co_await within(attempt->deadline() + grace, guarded(attempt));
    if (!answer)
        attempt->fail("out of time");
    const bool success = answer.value_or(false);
    const auto took = seconds(Clock::now() - attempt->started());
    attempt->sheet.set(gauge::success, success ? 1 : 0);
    attempt->sheet.set(gauge::duration, took);
    attempt->sheet.set(gauge::timeout, limit);
    attempt->info(success ? "success" : "failure", {{"duration_seconds", fmt::format("{:.6f}", took)}});
    co_return success;
}

void note_tls(Sheet& sheet, const TlsSession& session)
{
    const auto unix_time = [](std::chrono::sys_seconds time) {
        return std::chrono::duration<double>(time.time_since_epoch()).count();
    };
    constexpr double no_time = -62'135'596'800;  // year 1, which is how Go says "none"
    const auto& details = session.details.value_or(TlsDetails{});
    sheet.set(gauge::certificate_expiry, unix_time(session.earliest_expiry));
    sheet.set(gauge::chain_expiry, details.chain_expiry ? unix_time(*details.chain_expiry) : no_time);
    sheet.set(gauge::tls_version, label("version", details.version), 1);
    sheet.set(gauge::tls_cipher, label("cipher", details.cipher), 1);
    sheet.set(gauge::chain_info,
              fmt::format("{},{},{},{},{}", label("fingerprint_sha256", details.fingerprint_sha256),
                          label("issuer", details.issuer), label("serialnumber", details.serial),
                          label("subject", details.subject), label("subjectalternative", details.dns_names)),
              1);
}

}  // namespace keepwell::blackbox
