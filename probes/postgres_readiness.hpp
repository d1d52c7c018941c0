#pragma once

#include "probes/postgres.hpp"

namespace keepwell::postgres {

// The answer of pg_isready(1) by protocol, without TLS and without libpq, which costs three times as much and
// would go on to authenticate. Quiet: a server logs nothing about it, unless it takes no connection from here
// without TLS.
asio::awaitable<Verdict> readiness(const PostgresSpec& spec, Progress& progress);

// What pg_isready makes of an error: only "cannot connect now" says that the server does not serve.
Verdict judge_readiness(std::string_view sqlstate, std::string words);

}  // namespace keepwell::postgres
