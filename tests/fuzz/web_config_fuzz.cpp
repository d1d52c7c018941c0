#include "exporters/door/web_config.hpp"

#include <cstddef>
#include <cstdint>

// A web configuration of anybody's: an answer in time, never a crash, a hang or a leak. Files that it names
// are looked for in a place where there are none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto loaded = parse_web_config(text, "fuzz", "/nonexistent", [](std::string_view name) {
        return name.size() % 2 == 0 ? std::optional<std::string>{"a: [b"} : std::nullopt;
    });
    render(loaded.problems);
    loaded.config.http_server_config.headers.lines();
    return 0;
}
