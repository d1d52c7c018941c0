#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "daemon/expansion.hpp"
#include "probes/pin.hpp"

using namespace keepwell;
using namespace keepwell::test;

TEST_CASE("instances: all makes every address of a name an instance")
{
    auto by_name = tcp_probe();
    by_name.spec = std::make_shared<const ProbeSpec>(TcpSpec{.address = {.host = "api", .port = 80}});
    StackSpec spec;
    spec.services = {service("api", {}, {by_name, tcp_probe("fixed")}), service("db")};
    spec.services[0].all_addresses = true;
    CHECK(names_to_follow(spec) == std::set<std::string>{"api"});

    const auto two = expanded(spec, {{"api", {"10.0.0.1", "10.0.0.2"}}, {"other", {"10.9.9.9"}}});
    REQUIRE(two.services[0].instances.size() == 2);
    CHECK(two.services[0].instances[1].name == "10.0.0.2");
    CHECK(std::get<TcpSpec>(*two.services[0].instances[1].probes[0].spec).address.pinned == "10.0.0.2");
    CHECK(std::get<TcpSpec>(*two.services[0].instances[1].probes[1].spec).address.pinned.empty());
    CHECK(two.services[1] == spec.services[1]);

    CHECK(expanded(spec, {}) ==
          spec);  // unknown: the one instance stays, and says that the name does not resolve
    Stack{two};
}
