#include "probes/tcp.hpp"

#include "probes/alarm.hpp"
#include "probes/printable.hpp"
#include "probes/runner.hpp"

namespace keepwell {

namespace {

constexpr std::size_t most_expected = 65'536;

// A port that must be closed to us. Whoever answers is rejected; what cannot be tried at all (a resolver that
// answers nobody, no free descriptor) stays not attempted, because then nothing is known.
asio::awaitable<Verdict> expect_nobody(const TcpSpec& spec, Progress& progress)
{
    Verdict verdict;
    try {
        co_await connect(spec.address, progress, progress.verdict_due());
        co_return rejected(Reason::reachable, "connected to " + spec.address.text());
    } catch (const Failure& failure) {
        verdict = failure.verdict;
    } catch (const boost::system::system_error& error) {
        verdict = verdict_of(error.code());
    }
    co_return verdict.outcome == Outcome::no_response ? ok(verdict.detail) : verdict;
}

bool is_expected(const TcpSpec& spec, const std::string& said)
{
    return spec.expect.found_in(said) && said.find(spec.expect_bytes.bytes) != said.npos;
}

Verdict unexpected(const std::string& said, const std::string& when)
{
    return rejected(Reason::body_mismatch,
                    "not what was expected, " + when + ": " + first_line(printable(said)));
}

// Reads until the expected has come, or too much, or the time is up.
asio::awaitable<Verdict> listen(const TcpSpec& spec, Stream& stream, Progress& progress)
{
    const Alarm alarm{stream.socket(), progress.verdict_due()};
    std::string said;
    std::array<char, 4096> chunk{};
    try {
        while (said.size() < most_expected) {
            const auto count = co_await stream.read_some(chunk);
            said.append(chunk.data(), std::min(count, most_expected - said.size()));
            if (is_expected(spec, said))
                co_return ok();
        }
    } catch (const boost::system::system_error& error) {
        if (said.empty() && alarm.has_rung())
            co_return no_response(Reason::timeout, "connected, but it said nothing");
        if (said.empty())
            throw;
        co_return unexpected(said, alarm.has_rung() ? "until the deadline" : "before the connection ended");
    }
    co_return unexpected(said, "in 64 KiB");
}

}  // namespace

std::vector<std::string> TcpSpec::faults() const
{
    std::vector<std::string> faults;
    const bool sends = !send.empty() || !send_hex.bytes.empty();
    const bool expects = !expect.empty() || !expect_bytes.bytes.empty();
    if (!send.empty() && !send_hex.bytes.empty())
        faults.emplace_back("send and send_hex exclude each other");
    if (!expect.empty() && !expect_bytes.bytes.empty())
        faults.emplace_back("expect and expect_bytes exclude each other");
    if (unreachable && (tls || sends || expects))
        faults.emplace_back("unreachable only connects: it goes with neither tls nor send nor expect");
    if (certificate_min_days > 0 && !tls)
        faults.emplace_back("certificate_min_days needs tls");
    return faults;
}

asio::awaitable<Verdict> probe(const TcpSpec& spec, Progress& progress)
{
    if (spec.unreachable)
        co_return co_await expect_nobody(spec, progress);
    auto stream = co_await connect(spec.address, progress);
    if (spec.tls) {
        const auto session = co_await start_tls(stream, *spec.tls, spec.address.host, progress);
        if (auto verdict = expires_within(session, spec.certificate_min_days);
            verdict && spec.certificate_min_days > 0)
            co_return std::move(*verdict);
    }
    const auto& to_send = spec.send.empty() ? spec.send_hex.bytes : spec.send;
    const bool expects = !spec.expect.empty() || !spec.expect_bytes.bytes.empty();
    if (!to_send.empty()) {
        progress.enter(Phase::request);
        co_await stream.write(to_send);
    }
    if (expects) {
        progress.enter(Phase::reply);
        co_return co_await listen(spec, stream, progress);
    }
    if (!to_send.empty())
        stream.close_gently();
    co_return ok();
}

}  // namespace keepwell
