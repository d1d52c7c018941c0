#pragma once

#include "daemon/compose/native_probe.hpp"
#include "daemon/variables.hpp"

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace keepwell::compose {

// What a health check sees from inside its container that we must know from outside.
struct Inside {
    std::string host{};     // where we reach what it calls localhost
    Variables variables{};  // the container's environment
};

// Why a health check has no translation.
struct Untranslated {
    enum class Why : std::uint8_t {
        none_given,      // there is no health check, or it is switched off
        checks_nothing,  // it succeeds whatever happens: `exit 0`, `python -c "print()"`
        looks_inside,    // it asks what only the container knows: processes, files
        too_clever,      // a script, or a program that is not known here
    };
    Why why = Why::none_given;
    std::string words{};  // for people: completes "its health check ..."
};

// Says in probes of ours what the health check of a container asks: its address instead of localhost, our own
// protocol codecs instead of a client program. `test` is as in Docker's and Compose's `test` ("CMD",
// "CMD-SHELL", "NONE"). Several probes where the check asks several things; all must pass.
std::expected<std::vector<NativeProbe>, Untranslated> translate(std::span<const std::string> test,
                                                                const Inside& inside);

}  // namespace keepwell::compose
