#pragma once

#include "daemon/log.hpp"
#include "exporters/blackbox/module.hpp"
#include "exporters/blackbox/sheet.hpp"
#include "probes/result.hpp"

#include <boost/asio/awaitable.hpp>

#include <initializer_list>
#include <memory>
#include <string>

namespace keepwell::blackbox {

namespace asio = boost::asio;

// One attempt that somebody has asked for: what it is to find out, until when, and what came of it so far.
// Shared by the coroutine that makes it, which may still be unwinding, and by who answers for it in time.
class Attempt {
public:
    Attempt(std::string module_name, std::shared_ptr<const Module> module, std::string target,
            Clock::time_point deadline)
        : module_name_{std::move(module_name)},
          module_{std::move(module)},
          target_{std::move(target)},
          deadline_{deadline}
    {
    }

    const std::string& module_name() const { return module_name_; }
    const Module& module() const { return *module_; }
    const std::string& target() const { return target_; }
    Clock::time_point started() const { return started_; }
    Clock::time_point deadline() const { return deadline_; }

    Sheet sheet{};

    // Lines of the log that `debug=true` and /logs show. Nothing secret may be passed in.
    void info(std::string_view message, std::initializer_list<LogField> fields = {})
    {
        note(LogLevel::info, message, fields);
    }
    // Says why it is a failure; returns false, as who says so mostly does.
    bool fail(std::string_view message, std::initializer_list<LogField> fields = {})
    {
        note(LogLevel::error, message, fields);
        return false;
    }
    const std::string& log() const { return log_; }

private:
    static constexpr std::size_t most_log_bytes = 64 << 10;

    void note(LogLevel level, std::string_view message, std::initializer_list<LogField> fields);

    std::string module_name_;
    std::shared_ptr<const Module> module_;
    std::string target_;
    Clock::time_point started_ = Clock::now();
    Clock::time_point deadline_;
    std::string log_{};
};

using SharedAttempt = std::shared_ptr<Attempt>;

// The probers, each in a file of its own. They set the gauges of the attempt as they go, and say whether it
// is a success. They may throw what probes throw.
asio::awaitable<bool> probe_http(SharedAttempt attempt);
asio::awaitable<bool> probe_tcp(SharedAttempt attempt);
asio::awaitable<bool> probe_unix(SharedAttempt attempt);
asio::awaitable<bool> probe_dns(SharedAttempt attempt);
asio::awaitable<bool> probe_icmp(SharedAttempt attempt);
asio::awaitable<bool> probe_grpc(SharedAttempt attempt);

// Makes the attempt until its deadline; sets probe_success, probe_duration_seconds and probe_timeout_seconds,
// too. Never throws.
asio::awaitable<bool> run(SharedAttempt attempt);

// ---- what several of them need ----

// The gauges of a TLS session that has details.
void note_tls(Sheet& sheet, const TlsSession& session);

double seconds(Clock::duration time);

}  // namespace keepwell::blackbox
