#include "tests/catch.hpp"

#include "probes/own_container.hpp"

using namespace keepwell;

namespace {

const std::string a(64, 'a');
const std::string b(64, 'b');

std::string mount(const std::string& root, const std::string& point)
{
    return "104 86 254:0 " + root + " " + point + " rw,relatime - ext4 /dev/vda rw,discard\n";
}

}  // namespace

TEST_CASE("own container: its id is found where the kernel and Docker show it")
{
    auto [cgroup, mounts, host_name, id] =
        GENERATE(table<std::string, std::string, std::string, std::optional<std::string>>({
            {"9:pids:/docker/" + a + "\n0::/docker/" + a + "\n", "", "", a},
            {"0::/system.slice/docker-" + a + ".scope\n", "", "host", a},
            {"0::/docker/" + a + "/docker/" + b + "\n", "", "", b},
            {"0::/\n", mount("/var/lib/docker/containers/" + a + "/hostname", "/etc/hostname"), "web", a},
            {"0::/\n", mount("/containers/" + a + "/hosts", "/etc/hosts"), "0123456789ab", a},
            {"0::/\n", "", "0123456789ab", "0123456789ab"},
            // On a host, whose mounts show those of all its containers.
            {"0::/user.slice\n", mount("/", "/var/lib/docker/containers/" + a + "/mounts/shm"), "tower", {}},
            {"0::/user.slice/" + a + "0\n", mount("/" + a, "/srv/data"), "0123456789abc", {}},
            {"", "garbage\n\n \n", "", {}},
        }));
    CAPTURE(cgroup, mounts);
    CHECK(container_id_in(cgroup, mounts, host_name) == id);
}

TEST_CASE("own container: its layer is that of the root file system")
{
    const std::string overlay =
        "86 53 0:51 / / rw,relatime master:3 - overlay overlay rw,lowerdir=/l/A:/l/B,";
    CHECK(upper_directory_in(mount("/x", "/y") + overlay +
                             "upperdir=/o/78302/diff,workdir=/o/78302/work\n") == "/o/78302/diff");
    CHECK(upper_directory_in("86 53 0:51 / /mnt rw - overlay overlay rw,upperdir=/o\n").empty());
    CHECK(upper_directory_in(mount("/", "/")).empty());
    CHECK(upper_directory_in("").empty());
}
