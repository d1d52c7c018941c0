#include "daemon/compose/options.hpp"
#include "daemon/compose/tools.hpp"

#include <algorithm>
#include <array>

namespace keepwell::compose {

namespace {

using Why = Untranslated::Why;

NativeProbe netcat(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), {"wipqX", {}, {}}};
    if (options.operands().size() < 2)
        throw Untranslated{Why::too_clever, "calls nc without a host and a port"};
    if (options.has('u'))
        throw Untranslated{Why::too_clever, "asks a UDP port, which nobody can see refuse"};
    return {"tcp", outside_address(options.operands()[0].text, options.operands()[1].text, inside)};
}

NativeProbe grpc_health_probe(const Command& command, const Inside& inside)
{
    for (const auto& word : command.words) {
        const auto equals = word.text.find("addr=");
        const auto colon = word.text.rfind(':');
        if (equals != word.text.npos && colon != word.text.npos)
            return {"tcp", outside_address(word.text.substr(equals + 5, colon - equals - 5),
                                           word.text.substr(colon + 1), inside)};
    }
    throw Untranslated{Why::too_clever, "calls grpc_health_probe without an address"};
}

// A client whose protocol is not ours: whether its server's port answers.
template <int port>
NativeProbe port_of(const Command&, const Inside& inside)
{
    return {"tcp", outside_address("localhost", std::to_string(port), inside)};
}

NativeProbe etcd(const Command&, const Inside& inside)
{
    return {"http",
            outside_url("http://localhost:2379/health", inside),
            {{"json", "[{pointer: /health, equals: 'true'}]"}}};
}

NativeProbe nothing(const Command& command, const Inside&)
{
    throw Untranslated{Why::checks_nothing,
                       "is `" + command.words.front().text + "`, which always says the same"};
}

NativeProbe processes(const Command& command, const Inside&)
{
    throw Untranslated{Why::looks_inside,
                       "looks at the container's processes (" + command.words.front().text + ")"};
}

NativeProbe files(const Command& command, const Inside&)
{
    throw Untranslated{Why::looks_inside,
                       "looks at files in the container (" + command.words.front().text + ")"};
}

NativeProbe configuration(const Command& command, const Inside&)
{
    throw Untranslated{Why::looks_inside, "tests a configuration in the container (" +
                                              command.words.front().text +
                                              "), which does not say that somebody answers"};
}

}  // namespace

Tool find_port_tool(std::string_view program)
{
    constexpr std::array<std::pair<std::string_view, Tool>, 32> tools{{
        {"nc", netcat},
        {"ncat", netcat},
        {"netcat", netcat},
        {"grpc_health_probe", grpc_health_probe},
        {"grpc-health-probe", grpc_health_probe},
        {"mongosh", port_of<27017>},
        {"mongo", port_of<27017>},
        {"rabbitmq-diagnostics", port_of<5672>},
        {"rabbitmqctl", port_of<5672>},
        {"kafka-topics", port_of<9092>},
        {"kafka-topics.sh", port_of<9092>},
        {"kafka-broker-api-versions", port_of<9092>},
        {"kafka-broker-api-versions.sh", port_of<9092>},
        {"cqlsh", port_of<9042>},
        {"etcdctl", etcd},
        {"true", nothing},
        {"exit", nothing},
        {"echo", nothing},
        {":", nothing},
        {"pgrep", processes},
        {"pidof", processes},
        {"ps", processes},
        {"celery", processes},
        {"supervisorctl", processes},
        {"cat", files},
        {"find", files},
        {"ls", files},
        {"stat", files},
        {"nginx", configuration},
        {"apachectl", configuration},
        {"haproxy", configuration},
        {"promtool", configuration},
    }};
    const auto found = std::ranges::find(tools, program, &std::pair<std::string_view, Tool>::first);
    return found == tools.end() ? nullptr : found->second;
}

}  // namespace keepwell::compose
