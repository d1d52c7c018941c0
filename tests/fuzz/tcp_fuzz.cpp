// What a user expects of a port and how it is reached, and what the port says: parsed once, it is parsed
// again as it is written back. The first byte says which reader gets the rest.
#include "probes/address.hpp"
#include "probes/duration.hpp"
#include "probes/hex_bytes.hpp"
#include "probes/pattern.hpp"
#include "tests/fuzz/require.hpp"

#include <array>
#include <string>

using namespace keepwell;
using test::require;

namespace {

void read_bytes(std::string_view text)
{
    if (const auto bytes = HexBytes::parse(text))
        require(HexBytes::parse(bytes->text()) == *bytes);
}

void read_address(std::string_view text)
{
    if (const auto address = Address::parse(text))
        require(Address::parse(address->text()) == *address);
}

void read_duration(std::string_view text)
{
    if (const auto duration = Duration::parse(text))
        require(Duration::parse(duration->text()) == *duration);
}

// A pattern up to the line's end, and what is searched for it.
void search(std::string_view text)
{
    const auto end = text.find('\n');
    const auto pattern = Pattern::parse(std::string{text.substr(0, end)});
    if (pattern && end != text.npos)
        require(pattern->found_in(text.substr(end)) == pattern->found_in(text.substr(end)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    constexpr std::array readers{&read_bytes, &read_address, &read_duration, &search};
    readers[data[0] % readers.size()](rest);
    return 0;
}
