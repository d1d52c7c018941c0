#pragma once

#include "daemon/compose/native_probe.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace keepwell::compose {

// What one would ask a container of which only the image and the ports are known: well-known images by their
// own protocol, others by their first TCP port. Nothing when there is no port either. A guess: it may tell,
// but is no reason to restart anything.
std::optional<NativeProbe> guess(std::string_view image, std::span<const std::string> ports,
                                 std::string_view host);

// `redis` of `docker.io/library/redis:7-alpine@sha256:...`.
std::string_view image_name(std::string_view image);

}  // namespace keepwell::compose
