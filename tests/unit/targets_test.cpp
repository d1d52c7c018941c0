#include "tests/catch.hpp"
#include "tests/unit/stacks.hpp"

#include "exporters/targets.hpp"

#include <boost/json.hpp>

using namespace keepwell;
using namespace keepwell::test;

namespace json = boost::json;

namespace {

// An http service with a secret in its query, one of two instances that are connected to by number, and a
// program.
json::array targets(const std::map<std::string, std::string>& wanted)
{
    StackSpec spec;
    spec.project = "shop";
    auto http = tcp_probe("page");
    http.spec = std::make_shared<const ProbeSpec>(
        HttpSpec{.url = *Url::parse("https://shop.test/health?token=hidden")});
    auto redis = tcp_probe("ping");
    redis.spec = std::make_shared<const ProbeSpec>(
        RedisSpec{.address = {.host = "cache", .port = 6379, .pinned = "10.0.0.7"}});
    auto program = tcp_probe("program", Role::gate);
    program.spec = std::make_shared<const ProbeSpec>(ExecSpec{});
    spec.services = {service("web", {}, {http, program}), service("cache", {}, {redis})};
    spec.services[1].project = "other\xff";
    const Monitor monitor{Stack{spec}, {}, Clock::time_point{}, 1};
    return json::parse(targets_json(monitor, wanted)).as_array();
}

}  // namespace

TEST_CASE("targets: each probe with an address is one, and no URL tells its query")
{
    const auto all = targets({});
    REQUIRE(all.size() == 2);
    CHECK(all[0] == json::value{{"targets", {"https://shop.test/health"}},
                                {"labels",
                                 {{"__meta_keepwell_project", "shop"},
                                  {"__meta_keepwell_service", "web"},
                                  {"__meta_keepwell_instance", "web"},
                                  {"__meta_keepwell_probe", "page"},
                                  {"__meta_keepwell_kind", "http"},
                                  {"__meta_keepwell_role", "liveness"},
                                  {"__meta_keepwell_address", "shop.test:443"}}}});
    CHECK(all[1].at("targets") == json::value{"cache:6379"});
    CHECK(all[1].at_pointer("/labels/__meta_keepwell_address") == "10.0.0.7:6379");
    CHECK(all[1].at_pointer("/labels/__meta_keepwell_project") == "other\xef\xbf\xbd");
}

TEST_CASE("targets: what is asked for is left")
{
    const auto [name, value, count] = GENERATE(table<const char*, const char*, std::size_t>({
        {"kind", "redis", 1},
        {"kind", "exec", 0},
        {"role", "liveness", 2},
        {"service", "web", 1},
        {"service", "nobody", 0},
        {"colour", "red", 0},
    }));
    CAPTURE(name, value);
    CHECK(targets({{name, value}}).size() == count);
}
