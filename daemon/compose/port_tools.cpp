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

std::span<const NamedTool> port_tools()
{
    static constexpr std::array tools{
        NamedTool{"nc", netcat},
        NamedTool{"ncat", netcat},
        NamedTool{"netcat", netcat},
        NamedTool{"grpc_health_probe", grpc_health_probe},
        NamedTool{"grpc-health-probe", grpc_health_probe},
        NamedTool{"mongosh", port_of<27017>},
        NamedTool{"mongo", port_of<27017>},
        NamedTool{"rabbitmq-diagnostics", port_of<5672>},
        NamedTool{"rabbitmqctl", port_of<5672>},
        NamedTool{"kafka-topics", port_of<9092>},
        NamedTool{"kafka-topics.sh", port_of<9092>},
        NamedTool{"kafka-broker-api-versions", port_of<9092>},
        NamedTool{"kafka-broker-api-versions.sh", port_of<9092>},
        NamedTool{"cqlsh", port_of<9042>},
        NamedTool{"etcdctl", etcd},
        NamedTool{"true", nothing},
        NamedTool{"exit", nothing},
        NamedTool{"echo", nothing},
        NamedTool{":", nothing},
        NamedTool{"pgrep", processes},
        NamedTool{"pidof", processes},
        NamedTool{"ps", processes},
        NamedTool{"celery", processes},
        NamedTool{"supervisorctl", processes},
        NamedTool{"cat", files},
        NamedTool{"find", files},
        NamedTool{"ls", files},
        NamedTool{"stat", files},
        NamedTool{"nginx", configuration},
        NamedTool{"apachectl", configuration},
        NamedTool{"haproxy", configuration},
        NamedTool{"promtool", configuration},
    };
    return tools;
}

}  // namespace keepwell::compose
