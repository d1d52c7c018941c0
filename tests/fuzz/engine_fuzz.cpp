// What a Docker Engine streams, and what it says of a container: no crash, bounded memory, and the same
// meaning in whatever pieces it comes. The first byte says which reader gets the rest.
#include "probes/container.hpp"
#include "probes/engine_stream.hpp"
#include "probes/own_container.hpp"
#include "tests/fuzz/require.hpp"

#include <algorithm>

using namespace keepwell;
using test::require;

namespace {

// All that is handed on, one after the other, and what was wrong.
template <class Reader>
std::string understood(std::string_view text, std::size_t piece, char after_each)
{
    Reader reader;
    std::string all;
    try {
        for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
            reader.feed(text.substr(0, piece), [&](std::string_view each) {
                all += each;
                if (after_each)
                    all += after_each;
            });
    } catch (const Failure& failure) {
        all += failure.what();
    }
    return all;
}

template <class Reader>
void read_stream(std::string_view text, char after_each)
{
    const auto whole = understood<Reader>(text, text.size() + 1, after_each);
    require(understood<Reader>(text, 1, after_each) == whole);
    require(understood<Reader>(text, 7, after_each) == whole);
    require(whole.size() <= 2 * text.size() + 100);
}

void read_container(std::string_view text)
{
    try {
        const auto container = container_in(text);
        require(!container.status.empty() && !words_for(container).empty());
        require(container.health_output.size() <= 4096);
    } catch (const Failure& failure) {
        require(failure.verdict.reason == Reason::protocol_error);
    }
    message_of({500, std::string{text}});
}

void read_mounts(std::string_view text)
{
    const auto id = container_id_in(text, text, text);
    require(!id || id->size() == 64 || id->size() == 12);
    require(!upper_directory_in(text).contains('\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    switch (data[0] % 4) {
        case 0: read_stream<ObjectSplitter>(rest, '\n'); break;
        case 1: read_stream<FrameReader>(rest, '\0'); break;
        case 2: read_container(rest); break;
        default: read_mounts(rest); break;
    }
    return 0;
}
