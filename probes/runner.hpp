#pragma once

#include "probes/spec.hpp"

#include <boost/system/system_error.hpp>

namespace keepwell {

// Runs one attempt until progress->deadline(). Never throws and always answers in time. A probe that is still
// unwinding after its deadline keeps `progress` alive: a caller that holds a weak_ptr to it can tell.
asio::awaitable<ProbeResult> run(SharedSpec spec, std::shared_ptr<Progress> progress);

// The same with a timeout from now.
asio::awaitable<ProbeResult> run(SharedSpec spec, Clock::duration timeout);

// What an error of the operating system or of Asio means for an attempt.
Verdict verdict_of(const boost::system::error_code& error);

}  // namespace keepwell
