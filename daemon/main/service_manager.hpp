#pragma once

#include <string_view>

namespace keepwell {

// Tells the service manager (systemd, Type=notify) how we are: "READY=1", "STOPPING=1", "RELOADING=1". Does
// nothing when nobody wants to know. sd_notify(3) describes the datagram.
void notify_service_manager(std::string_view state);

}  // namespace keepwell
