#pragma once

#include "daemon/health_line.hpp"
#include "exporters/history.hpp"
#include "exporters/metrics.hpp"

#include <cstddef>
#include <limits>
#include <optional>
#include <string>

namespace keepwell {

// What is known, as JSON for the API, the command line and the page. The documents are described in
// docs/api.md.
std::string signals_json(const Monitor& monitor, const History& history, Clock::time_point now);
std::string error_json(std::string_view message);

// The status of all services, or of one, in slices: thousands of probes make megabytes, and other things have
// to be done meanwhile. Each slice tells of the moment at which it is written.
class StatusWriter {
public:
    explicit StatusWriter(const DaemonFigures& figures = {})
        : stands_by_{figures.stands_by},
          engine_up_{figures.follows_engine ? std::optional{figures.engine_up} : std::nullopt}
    {
    }
    explicit StatusWriter(ServiceId only) : whole_{false}, service_{only}, end_{only + 1} {}

    // Appends the next slice; returns whether there is more. The body is empty before the first one.
    bool write(std::string& body, const Monitor& monitor, Clock::time_point now);

private:
    void begin(std::string& body, const Monitor& monitor, Clock::time_point now) const;
    bool write_part(std::string& body, const Monitor& monitor, Clock::time_point now);

    bool stands_by_ = false;
    std::optional<bool> engine_up_{};
    bool whole_ = true;
    ServiceId service_ = 0;
    ServiceId end_ = std::numeric_limits<ServiceId>::max();
    std::size_t instance_ = 0;
    bool within_ = false;  // a service has been begun
};

}  // namespace keepwell
