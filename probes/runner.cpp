#include "probes/runner.hpp"

#include "probes/deadline.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

// An attempt that ended this much after its deadline was not slow: we were not running (SIGSTOP, suspend,
// swap).
constexpr Clock::duration frozen_after = 1s;

// The one place where an exception becomes a verdict. Silence and nonsense are the target's faults, the rest
// ours.
asio::awaitable<Verdict> attempt(SharedSpec spec, std::shared_ptr<Progress> progress)
{
    try {
        co_return co_await std::visit([&](const auto& kind) { return probe(kind, *progress); }, *spec);
    } catch (const Failure& failure) {
        co_return failure.verdict;
    } catch (const boost::system::system_error& error) {
        co_return verdict_of(error.code());
    } catch (const std::bad_alloc&) {
        co_return not_attempted(Reason::resource_exhausted, "out of memory");
    } catch (const std::exception& error) {
        co_return not_attempted(Reason::internal_error, error.what());
    }
}

}  // namespace

Verdict verdict_of(const boost::system::error_code& error)
{
    namespace errc = boost::system::errc;
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated)
        return no_response(Reason::connection_closed, "the peer closed the connection");
    if (error == errc::connection_refused)
        return no_response(Reason::connection_refused, "connection refused");
    if (error == errc::connection_reset || error == errc::broken_pipe || error == errc::connection_aborted)
        return no_response(Reason::connection_reset, "connection reset by peer");
    if (error == errc::timed_out)
        return no_response(Reason::timeout, "connection timed out");
    if (error == errc::host_unreachable || error == errc::network_unreachable ||
        error == errc::network_down || error == errc::address_family_not_supported)
        return no_response(Reason::unreachable, error.message());
    if (error == errc::too_many_files_open || error == errc::too_many_files_open_in_system ||
        error == errc::not_enough_memory || error == errc::no_buffer_space ||
        error == errc::address_not_available || error == errc::address_in_use)
        return not_attempted(Reason::resource_exhausted, error.message());
    if (error == errc::permission_denied || error == errc::operation_not_permitted)
        return not_attempted(Reason::permission_denied, error.message());
    if (error ==
        errc::invalid_argument)  // an address that cannot be asked, as a link-local one without a scope
        return not_attempted(Reason::bad_configuration, error.message());
    if (error.category() == asio::error::get_ssl_category())
        return rejected(Reason::tls_failure, error.message());
    if (error == asio::error::operation_aborted)
        return no_response(Reason::timeout, "cancelled");
    return no_response(Reason::connection_closed, error.message());
}

asio::awaitable<ProbeResult> run(SharedSpec spec, std::shared_ptr<Progress> progress)
{
    const auto deadline = progress->deadline();
    auto verdict = co_await within(deadline, attempt(std::move(spec), progress));
    if (!verdict)
        verdict = no_response(Reason::timeout, "no answer before the deadline, in phase " +
                                                   std::string{to_string(progress->phase())});
    ProbeResult result;
    progress->finish(result);
    if (verdict->outcome != Outcome::ok && result.started + result.took > deadline + frozen_after)
        verdict = not_attempted(Reason::frozen, "keepwell stood still during the attempt");
    result.outcome = verdict->outcome;
    result.reason = verdict->reason;
    result.detail = std::move(verdict->detail);
    co_return result;
}

asio::awaitable<ProbeResult> run(SharedSpec spec, Clock::duration timeout)
{
    return run(std::move(spec), std::make_shared<Progress>(Clock::now() + timeout));
}

}  // namespace keepwell
