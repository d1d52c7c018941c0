#include "probes/mysql_protocol.hpp"
#include "probes/probe.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace keepwell;

// One packet's payload, read as each of the things that it may be.
void read(char as, std::string_view payload)
{
    switch (as) {
        case 0: {
            const auto greeting = mysql::parse_greeting(payload);
            mysql::proof(greeting.plugin, "password", greeting.scramble, greeting.tls);
            return;
        }
        case 1: mysql::parse_error(payload); return;
        case 2: {
            const auto wanted = mysql::parse_switch(payload);
            mysql::proof(wanted.plugin, "password", wanted.scramble, true);
            return;
        }
        case 3: mysql::parse_column_count(payload); return;
        case 4: mysql::parse_first_column(payload); return;
        case 5: mysql::more_results_after(payload); return;
        case 6: mysql::encrypted("password", std::string(20, 's'), payload); return;
        default: mysql::parse_header(payload); return;
    }
}

}  // namespace

// What a MySQL server may say: every packet is read or refused, whatever it holds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    if (bytes.empty())
        return 0;
    try {
        read(bytes.front(), bytes.substr(1));
    } catch (const Failure&) {
    }
    return 0;
}
