#include "probes/postgres_complaint.hpp"

#include "probes/sql.hpp"

#include <fmt/format.h>

#include <array>

namespace keepwell::postgres {

namespace {

// What an error of the server means to someone who logs in.
Verdict judge_error(const Complaint& error)
{
    const auto& state = error.sqlstate;
    auto words = fmt::format("{} ({})", error.text, state);
    if (state == "57P01" || state == "57P02" || state == "57P03")
        return rejected(Reason::starting_up, std::move(words));
    if (state == "53300")
        return rejected(Reason::too_many_connections, std::move(words));
    if (state.starts_with("28") || state == "42501")
        return rejected(Reason::authentication_failed, std::move(words));
    return rejected(Reason::query_failed, std::move(words));
}

// The same for libpq's own complaints, which come as English text only: nobody here calls setlocale(3).
struct Known {
    std::string_view fragment;
    Outcome outcome;
    Reason reason;
};
constexpr std::array known_complaints{
    Known{"Connection refused", Outcome::no_response, Reason::connection_refused},
    Known{"closed the connection unexpectedly", Outcome::no_response, Reason::connection_closed},
    Known{"closed unexpectedly", Outcome::no_response, Reason::connection_closed},
    Known{"EOF detected", Outcome::no_response, Reason::connection_closed},
    Known{"unexpected eof", Outcome::no_response, Reason::connection_closed},
    Known{"Connection reset", Outcome::no_response, Reason::connection_reset},
    Known{"Broken pipe", Outcome::no_response, Reason::connection_reset},
    Known{"No route to host", Outcome::no_response, Reason::unreachable},
    Known{"Network is unreachable", Outcome::no_response, Reason::unreachable},
    Known{"Host is down", Outcome::no_response, Reason::unreachable},
    Known{"timed out", Outcome::no_response, Reason::timeout},
    Known{"Too many open files", Outcome::not_attempted, Reason::resource_exhausted},
    Known{"No buffer space", Outcome::not_attempted, Reason::resource_exhausted},
    Known{"Cannot assign requested address", Outcome::not_attempted, Reason::resource_exhausted},
    Known{"out of memory", Outcome::not_attempted, Reason::resource_exhausted},
    Known{"root certificate file", Outcome::not_attempted, Reason::bad_configuration},
    Known{"certificate file", Outcome::not_attempted, Reason::bad_configuration},
    Known{"private key file", Outcome::not_attempted, Reason::bad_configuration},
    Known{"certificate present, but not private key", Outcome::not_attempted, Reason::bad_configuration},
    Known{"invalid response", Outcome::rejected, Reason::protocol_error},
    Known{"does not match host name", Outcome::rejected, Reason::certificate_name_mismatch},
    Known{"certificate verify failed", Outcome::rejected, Reason::certificate_untrusted},
    Known{"SSL", Outcome::rejected, Reason::tls_failure},
    Known{"no password supplied", Outcome::rejected, Reason::authentication_required},
    Known{"authentication method", Outcome::rejected, Reason::protocol_error},
    Known{"authentication request", Outcome::rejected, Reason::protocol_error},
    Known{"authentication", Outcome::rejected, Reason::authentication_failed},
    Known{"GSSAPI", Outcome::rejected, Reason::authentication_failed},
    Known{"SCRAM", Outcome::rejected, Reason::authentication_failed},
    Known{"invalid", Outcome::rejected, Reason::protocol_error},
};

}  // namespace

Complaint parse_complaint(std::string_view text, const Secret& password)
{
    constexpr std::string_view failed = " failed: ";
    if (const auto last = text.rfind("connection to server at "); last != std::string_view::npos)
        if (const auto colon = text.find(failed, last); colon != std::string_view::npos)
            text.remove_prefix(colon + failed.size());
    // SEVERITY, a colon, two spaces, five characters, a colon, a space
    constexpr std::size_t code_length = 5;
    const auto severity = text.find(":  ");
    const auto code = severity + 3;
    if (severity < text.find('\n') && text.size() > code + code_length &&
        text.substr(code + code_length, 2) == ": ")
        return {std::string{text.substr(code, code_length)},
                server_words(text.substr(code + code_length + 2), password)};
    return {{}, server_words(text, password)};
}

Verdict judge_complaint(Complaint complaint)
{
    if (!complaint.sqlstate.empty())
        return judge_error(complaint);
    for (const auto& known : known_complaints)
        if (complaint.text.contains(known.fragment))
            return {known.outcome, known.reason, std::move(complaint.text)};
    return rejected(Reason::protocol_error, std::move(complaint.text));
}

}  // namespace keepwell::postgres
