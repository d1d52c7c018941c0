#include "probes/reason.hpp"

#include <array>

namespace keepwell {

namespace {

using enum Reason;

constexpr std::array table{
    ReasonWords{none, "none", "all is well"},
    ReasonWords{dns_failure, "dns_failure",
                "the name does not resolve: is it spelled right, does the service exist?"},
    ReasonWords{connection_refused, "connection_refused",
                "nothing listens there: is the process running, is the port right?"},
    ReasonWords{connection_reset, "connection_reset",
                "the peer reset the connection: it crashed, or it refuses us"},
    ReasonWords{connection_closed, "connection_closed",
                "the peer closed the connection before it had answered"},
    ReasonWords{unreachable, "unreachable", "no route to the host: is it on the same network?"},
    ReasonWords{timeout, "timeout",
                "no answer before the deadline: it hangs, is overloaded, or packets are dropped"},
    ReasonWords{reachable, "reachable", "it answers although it must not be reachable"},
    ReasonWords{tls_failure, "tls_failure",
                "the TLS handshake failed: wrong port, protocol or client certificate?"},
    ReasonWords{certificate_untrusted, "certificate_untrusted",
                "the certificate is not signed by an authority we trust"},
    ReasonWords{certificate_expired, "certificate_expired",
                "the certificate is not valid any more, or not yet"},
    ReasonWords{certificate_expiring, "certificate_expiring", "the certificate expires too soon"},
    ReasonWords{certificate_name_mismatch, "certificate_name_mismatch",
                "the certificate is for another name"},
    ReasonWords{protocol_error, "protocol_error",
                "the answer does not follow the protocol: is it the right kind of server?"},
    ReasonWords{reply_too_large, "reply_too_large", "the answer is larger than the limit"},
    ReasonWords{status_mismatch, "status_mismatch", "the HTTP status is not an accepted one"},
    ReasonWords{header_mismatch, "header_mismatch", "a response header is missing or different"},
    ReasonWords{body_mismatch, "body_mismatch", "the body does not match what was expected"},
    ReasonWords{json_mismatch, "json_mismatch", "the JSON body does not hold the expected value"},
    ReasonWords{too_many_redirects, "too_many_redirects",
                "it was redirected too often, or though redirects are off"},
    ReasonWords{authentication_required, "authentication_required",
                "it asks for credentials and none are configured"},
    ReasonWords{authentication_failed, "authentication_failed", "it refused our credentials"},
    ReasonWords{starting_up, "starting_up", "it is starting up or shutting down and takes no work yet"},
    ReasonWords{too_many_connections, "too_many_connections", "it has no free connection left"},
    ReasonWords{host_blocked, "host_blocked",
                "it does not let this host in: an access list, or too many broken connections"},
    ReasonWords{role_mismatch, "role_mismatch", "it has another replication role than expected"},
    ReasonWords{primary_down, "primary_down", "the replica has lost its primary"},
    ReasonWords{busy, "busy", "it is kept busy, by a script perhaps, and takes no work"},
    ReasonWords{not_writable, "not_writable", "it takes no writes: is its disk full or not writable?"},
    ReasonWords{query_failed, "query_failed", "the query was answered with an error"},
    ReasonWords{value_mismatch, "value_mismatch", "the query gave another value than expected"},
    ReasonWords{address_mismatch, "address_mismatch", "the name resolves to other addresses than expected"},
    ReasonWords{name_resolved, "name_resolved", "the name resolves although it must not"},
    ReasonWords{exit_code, "exit_code", "the program ended with an unexpected exit code"},
    ReasonWords{killed_by_signal, "killed_by_signal", "the program was killed by a signal"},
    ReasonWords{output_mismatch, "output_mismatch", "the program's output does not match what was expected"},
    ReasonWords{late, "late", "its heartbeat is overdue"},
    ReasonWords{not_running, "not_running",
                "its container does not run: exited, paused, being restarted, or gone"},
    ReasonWords{unhealthy, "unhealthy", "its container's own health check fails: look at its output"},
    ReasonWords{resolver_unavailable, "resolver_unavailable",
                "our own DNS server answers nobody: this says nothing about the target"},
    ReasonWords{engine_unavailable, "engine_unavailable",
                "the Docker Engine gives keepwell no answer: this says nothing about the target"},
    ReasonWords{resource_exhausted, "resource_exhausted",
                "keepwell has no file descriptors, ports or memory left"},
    ReasonWords{permission_denied, "permission_denied", "keepwell is not allowed to do this"},
    ReasonWords{not_executable, "not_executable", "the program is missing or cannot be executed"},
    ReasonWords{undetermined, "undetermined", "the check program could not tell: look at its output"},
    ReasonWords{secret_unreadable, "secret_unreadable", "a secret's file cannot be read"},
    ReasonWords{frozen, "frozen", "keepwell itself stood still during the attempt"},
    ReasonWords{still_running, "still_running", "the previous attempt has not ended yet"},
    ReasonWords{bad_configuration, "bad_configuration", "the probe cannot be attempted as it is configured"},
    ReasonWords{internal_error, "internal_error", "an error in keepwell itself; please report it"},
};

constexpr bool in_order()
{
    for (std::size_t i = 0; i < table.size(); ++i)
        if (static_cast<std::size_t>(table[i].reason) != i)
            return false;
    return static_cast<std::size_t>(internal_error) + 1 == table.size();
}
static_assert(in_order());

}  // namespace

std::span<const ReasonWords> reasons() { return table; }
std::string_view to_string(Reason reason) { return table[static_cast<std::size_t>(reason)].name; }
std::string_view words(Reason reason) { return table[static_cast<std::size_t>(reason)].words; }

}  // namespace keepwell
