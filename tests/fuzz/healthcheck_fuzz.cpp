#include "daemon/compose/healthcheck.hpp"
#include "daemon/config.hpp"

#include <cstddef>
#include <cstdint>

// The health check of a container is anybody's shell line: a translation that is a probe, or a reason why
// not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    const std::string text{reinterpret_cast<const char*>(data), size};
    const compose::Inside inside{"web", [](std::string_view name) {
                                     return name.size() % 2 == 0 ? std::optional<std::string>{"$A 1"}
                                                                 : std::nullopt;
                                 }};
    const std::vector<std::string> test{"CMD-SHELL", text};
    const auto probes = compose::translate(test, inside);
    if (!probes)
        return probes.error().words.empty() ? __builtin_trap(), 0 : 0;
    for (const auto& probe : *probes) {
        std::vector<std::string> settings;
        for (const auto& setting : probe.settings)
            settings.push_back(setting.key + "=" + setting.value);
        render(make_probe(probe.kind, probe.target, settings).problems);
    }
    return 0;
}
