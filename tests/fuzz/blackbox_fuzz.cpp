// What /probe takes from outside: the file of modules, a DNS server's whole answer, and what a peer says put
// into what is sent next. The first byte says which reader gets the rest.
#include "daemon/reader.hpp"
#include "exporters/blackbox/modules.hpp"
#include "probes/dns_message.hpp"
#include "tests/fuzz/require.hpp"

using namespace keepwell;
using test::require;

namespace {

// Files that a module names are looked for in a place where there are none.
void read_modules(std::string_view text)
{
    const auto loaded = blackbox::parse_modules(text, "fuzz", "/nonexistent");
    render(loaded.problems);
    if (loaded.ok())
        for (const auto& [name, module] : loaded.modules.modules)
            text_of(module);
}

void read_answer(std::string_view bytes)
{
    const auto message = parse_dns_message(bytes);
    if (!message)
        return;
    std::size_t shown = 0;
    for (const auto* section : {&message->answers, &message->authorities, &message->additionals})
        for (const auto& record : *section)
            shown += record.text().size();
    require(message->answers.size() <= bytes.size() && shown <= bytes.size() * 4096 + 64);
}

void expand(std::string_view text)
{
    static const auto pattern = *Pattern::parse("(?P<first>[a-z]+)|([0-9]+) (.*)");
    const auto middle = text.find('\n');
    const auto subject = text.substr(0, middle);
    const auto form = middle == text.npos ? text : text.substr(middle + 1);
    const auto expanded = pattern.expanded(subject, form);
    require(expanded.has_value() == pattern.found_in(subject));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    switch (data[0] % 3) {
        case 0: read_modules(rest); break;
        case 1: read_answer(rest); break;
        default: expand(rest); break;
    }
    return 0;
}
