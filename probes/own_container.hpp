#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// Which container does keepwell itself run in? Nothing: in none, as far as can be told.
//
// From the control group where its path is shown, else from the files that Docker mounts into every
// container, else from a host name that is an id. Of a container that shares another one's network the last
// two are the other's: with control groups v2 the answer is then the one that keepwell runs in the network
// of. Its first 12 digits may be all there is.
std::optional<std::string> own_container_id();

// The folder of the container's own layer on the Engine's host, as inspecting it says under
// GraphDriver.Data.UpperDir: it belongs to one container only. Empty with storage other than overlay2.
std::string own_upper_directory();

// The same two from what /proc/self/cgroup, /proc/self/mountinfo and HOSTNAME say (cgroups(7), proc(5)).
std::optional<std::string> container_id_in(std::string_view cgroup, std::string_view mounts,
                                           std::string_view host_name);
std::string upper_directory_in(std::string_view mounts);

}  // namespace keepwell
