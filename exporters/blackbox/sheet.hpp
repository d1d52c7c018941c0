#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::blackbox {

// A gauge and what it says.
struct Gauge {
    std::string_view name;
    std::string_view help;
};

// The gauges of one attempt, by blackbox_exporter's names. What is set again replaces what was there.
class Sheet {
public:
    void set(const Gauge& gauge, double value) { set(gauge, {}, value); }
    // `labels` is the ready text between the braces.
    void set(const Gauge& gauge, std::string_view labels, double value);
    void set_phase(const Gauge& gauge, std::string_view phase, double seconds);

    std::string text() const;  // Prometheus' text format, sorted

private:
    struct Sample {
        Gauge gauge;
        std::string labels{};
        double value = 0;
    };
    std::vector<Sample> samples_{};  // a few dozen: looked through from end to end
};

namespace gauge {

inline constexpr Gauge success{"probe_success", "Whether the attempt was a success."};
inline constexpr Gauge duration{"probe_duration_seconds", "How long the attempt took."};
inline constexpr Gauge timeout{"probe_timeout_seconds", "How long the attempt might have taken."};
inline constexpr Gauge lookup_time{"probe_dns_lookup_time_seconds",
                                   "How long it took to resolve the target."};
inline constexpr Gauge ip_protocol{"probe_ip_protocol",
                                   "Version of IP by which the target was asked, 4 or 6."};
inline constexpr Gauge ip_hash{"probe_ip_addr_hash",
                               "Hash (FNV-1a) of the target's address; shows that it has changed."};
inline constexpr Gauge failed_regex{"probe_failed_due_to_regex",
                                    "Whether a regular expression made the attempt a failure."};
inline constexpr Gauge failed_bytes{"probe_failed_due_to_bytes",
                                    "Whether the expected bytes made the attempt a failure."};
inline constexpr Gauge certificate_expiry{
    "probe_ssl_earliest_cert_expiry", "When the first of the server's certificates expires, in Unix time."};
inline constexpr Gauge chain_expiry{"probe_ssl_last_chain_expiry_timestamp_seconds",
                                    "When the verified chain of certificates expires, in Unix time."};
inline constexpr Gauge chain_info{"probe_ssl_last_chain_info", "The server's certificate."};
inline constexpr Gauge tls_version{"probe_tls_version_info", "The version of TLS that was agreed on."};
inline constexpr Gauge tls_cipher{"probe_tls_cipher_info", "The cipher that was agreed on."};

}  // namespace gauge

}  // namespace keepwell::blackbox
