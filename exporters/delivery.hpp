#pragma once

#include "probes/result.hpp"
#include "probes/transfer.hpp"

#include <random>
#include <string>

namespace keepwell {

// What became of what somebody was to be told, over all receivers of a kind.
struct DeliveryFigures {
    std::uint64_t delivered = 0;
    std::uint64_t failed = 0;   // of a webhook: given up on; of an Alertmanager: each try that went wrong
    std::uint64_t dropped = 0;  // there was no room or no time left for it
};

// What became of one POST.
struct Posted {
    int status = 0;          // of the answer, if there was one
    std::string error{};     // in words, without the URL; empty: it was taken
    std::string answer{};    // the begin of the answer's body; it may repeat what was sent
    bool is_final = false;   // the same again would be refused, too
    Clock::duration took{};  // until this was known
};

// Sends the request once; the answer must be a 2xx, and be there in time. Never throws for what goes wrong on
// the way.
asio::awaitable<Posted> deliver(HttpRequest request, Clock::duration timeout);

// Between one half and the whole of it, so that receivers that come back are not met by all senders at once.
Clock::duration jittered(Clock::duration length, std::mt19937_64& random);

}  // namespace keepwell
