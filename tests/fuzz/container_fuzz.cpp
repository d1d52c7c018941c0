// What an Engine says of containers, all the way to a configuration: descriptions, one a line, of which the
// first is keepwell's own.
#include "daemon/config.hpp"
#include "daemon/docker/advice.hpp"
#include "daemon/docker/project.hpp"

#include <cstdio>
#include <cstdlib>

using namespace keepwell;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    (void)docker::parse_container_ids(text);
    std::vector<docker::Container> containers;
    for (std::size_t at = 0; at < text.size() && containers.size() < 8;) {
        const auto end = std::min(text.find('\n', at), text.size());
        if (auto container = docker::parse_container(text.substr(at, end - at)))
            containers.push_back(*std::move(container));
        at = end + 1;
    }
    for (const auto& container : containers)
        (void)docker::advice_on(container, 141);
    docker::Self self;
    if (!containers.empty())
        self = docker::self_of(containers.front());
    for (const bool all : {false, true}) {
        docker::Addresses addresses;
        const auto found = docker::find_services(containers, {.all = all}, self, addresses);
        const auto loaded = parse_config("docker: true", "keepwell.yaml", ".", environment, &found);
        // Whatever containers say, the services of the others must not be lost: names that cannot be are left
        // out.
        if (!loaded.ok()) {
            std::fputs(render(loaded.problems).c_str(), stderr);
            std::abort();
        }
        const Stack stack{loaded.config.stack};
    }
    return 0;
}
