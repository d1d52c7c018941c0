// What a DNS server answers, and the lines of a hosts file. The first byte says which reader gets the rest.
#include "probes/dns_channel.hpp"
#include "probes/hosts_file.hpp"
#include "tests/fuzz/require.hpp"

using namespace keepwell;
using test::require;

namespace {

void read_records(RecordType type, std::string_view answer)
{
    const auto reply = records_in(type, answer);
    if (reply.status == DnsStatus::found)
        require(reply.values.size() <= answer.size());
    else
        require(reply.values.empty() && !reply.detail.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    constexpr std::array types{RecordType::mx, RecordType::srv, RecordType::txt, RecordType::ns};
    const std::size_t reader = data[0] % (types.size() + 1);
    if (reader < types.size())
        read_records(types[reader], rest);
    else
        HostsFile::parse(rest);
    return 0;
}
