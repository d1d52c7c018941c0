#pragma once

#include "daemon/docker/container.hpp"
#include "daemon/node.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::docker {

// On keepwell's own image: so that one keepwell does not restart another.
inline constexpr std::string_view self_label = "io.keepwell.daemon";

// Whether somebody asked to leave the container alone: `keepwell.enable` is there and anything but a yes.
bool is_left_alone(const Container& container);

// What the `keepwell.*` labels of a container say, as an entry of `services`: `keepwell.interval=5s` is
// {interval: 5s}, `keepwell.restart.max=3` is {restart: {max: 3}}, and `keepwell.probes` holds YAML. The
// labels of autoheal and deunhealth are understood: whoever asked them for restarts asks keepwell, too.
// Labels that cannot be read are noted and left out.
Node settings_of_labels(const Container& container, std::vector<std::string>& notes);

}  // namespace keepwell::docker
