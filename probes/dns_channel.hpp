#pragma once

#include "probes/dns_reply.hpp"
#include "probes/result.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace keepwell {

using DnsCallback = std::function<void(DnsReply)>;

struct DnsSettings {
    std::string servers{};  // "192.0.2.1:53,[::1]:5353", numeric; empty: those of resolv_conf
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
    std::uint16_t port = 53;                    // of the servers in resolv_conf
    std::chrono::milliseconds first_try{1000};  // doubled with every round
    int rounds = 3;                             // each asks all servers, one after another
    // Asks as dig(1) does: no search domains, and the first answer counts, also one that says SERVFAIL or
    // REFUSED.
    bool literally = false;
    bool operator==(const DnsSettings&) const = default;
};

// DNS queries on the loop, by c-ares: sockets and time-outs are waited for, nothing blocks. Queries do not
// wait for each other. No cache, no hosts file. Destroying a channel drops its open queries without calling
// back, and must not happen inside a callback.
class DnsChannel {
public:
    DnsChannel(const asio::any_io_executor& executor, const DnsSettings& settings);  // throws Failure
    ~DnsChannel();
    DnsChannel(const DnsChannel&) = delete;
    DnsChannel& operator=(const DnsChannel&) = delete;

    // Addresses of a name (type a or aaaa), by the search rules of resolv.conf. May call back before it
    // returns.
    void look_up(const std::string& name, RecordType type, DnsCallback done);

    // Records of a full name (any type but `any`). May call back before it returns.
    void query(const std::string& name, RecordType type, DnsCallback done);

    // Asks something that every server can answer, so that answered_at() moves if one is alive.
    void knock();

    // When a server last said anything at all, be it a refusal.
    Clock::time_point answered_at() const;
    int open_queries() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// What a server's answer to query() says, for types that are no addresses.
DnsReply records_in(RecordType type, std::string_view answer);

}  // namespace keepwell
