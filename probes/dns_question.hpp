#pragma once

#include "probes/dns_channel.hpp"

#include <boost/asio/awaitable.hpp>

namespace keepwell {

// One question to the servers of `settings`, past all caches; for type any, a and aaaa the search rules and,
// unless servers are named, the hosts file count. Answers by `due`: `silent` when nobody answered, `failed`
// when somebody did but not to this question.
asio::awaitable<DnsReply> ask(std::string name, RecordType type, DnsSettings settings, Clock::time_point due);

}  // namespace keepwell
