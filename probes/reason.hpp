#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace keepwell {

// Why an attempt ended as it did: a closed list, so that it can be a label, a column and a condition.
enum class Reason : std::uint8_t {
    none,  // the attempt is ok
    // the way to the target
    dns_failure,
    connection_refused,
    connection_reset,
    connection_closed,
    unreachable,
    timeout,
    reachable,
    // TLS
    tls_failure,
    certificate_untrusted,
    certificate_expired,
    certificate_expiring,
    certificate_name_mismatch,
    // the answer
    protocol_error,
    reply_too_large,
    status_mismatch,
    header_mismatch,
    body_mismatch,
    json_mismatch,
    too_many_redirects,
    authentication_required,
    authentication_failed,
    starting_up,
    too_many_connections,
    host_blocked,
    role_mismatch,
    primary_down,
    busy,
    not_writable,
    query_failed,
    value_mismatch,
    address_mismatch,
    name_resolved,
    // programs and heartbeats
    exit_code,
    killed_by_signal,
    output_mismatch,
    late,
    // containers
    not_running,
    unhealthy,
    // our own faults
    resolver_unavailable,
    engine_unavailable,
    resource_exhausted,
    permission_denied,
    not_executable,
    undetermined,
    secret_unreadable,
    frozen,
    still_running,
    bad_configuration,
    internal_error,
};

struct ReasonWords {
    Reason reason;
    std::string_view name;   // in labels, JSON and logs
    std::string_view words;  // for people: what happened, and where to look
};

// All reasons in the order of the enumeration.
std::span<const ReasonWords> reasons();

std::string_view to_string(Reason);
std::string_view words(Reason);

}  // namespace keepwell
