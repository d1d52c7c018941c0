#include "probes/postgres_complaint.hpp"
#include "probes/postgres_protocol.hpp"

#include <cstddef>
#include <cstdint>

// What a PostgreSQL server may say, and what libpq makes of it: read or refused, whatever it holds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    postgres::slow_authentication(bytes);
    postgres::judge_complaint(postgres::parse_complaint(bytes, Secret{"secret"}));
    try {
        auto rest = bytes;
        while (const auto message = postgres::take_message(rest))
            if (message->type == 'E')
                postgres::parse_error(message->body);
            else if (message->type == 'R')
                postgres::parse_authentication(message->body);
    } catch (const Failure&) {
    }
    return 0;
}
