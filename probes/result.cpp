#include "probes/result.hpp"

namespace keepwell {

std::string_view to_string(Outcome outcome)
{
    switch (outcome) {
        case Outcome::ok: return "ok";
        case Outcome::rejected: return "rejected";
        case Outcome::no_response: return "no_response";
        case Outcome::not_attempted: return "not_attempted";
    }
    return "?";
}

std::string_view to_string(Phase phase)
{
    switch (phase) {
        case Phase::prepare: return "prepare";
        case Phase::resolve: return "resolve";
        case Phase::connect: return "connect";
        case Phase::tls: return "tls";
        case Phase::request: return "request";
        case Phase::reply: return "reply";
    }
    return "?";
}

}  // namespace keepwell
