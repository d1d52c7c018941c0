#include "probes/dns.hpp"

#include "tests/catch.hpp"
#include "tests/unit/processes.hpp"
#include "tests/unit/scripted_dns.hpp"
#include "tests/unit/scripted_server.hpp"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using Entry = DnsEntry::Manner;

namespace {

const ScriptedDns::Names names{
    {"app.example", {.addresses = {"192.0.2.1", "192.0.2.2", "2001:db8::1"}}},
    {"v4.example", {.addresses = {"192.0.2.4"}}},
    {"failing.example", {.manner = Entry::servfail}},
    {"refused.example", {.manner = Entry::refuse}},
    {"garbage.example", {.manner = Entry::garbage}},
    {"unsaid.example", {.manner = Entry::ignore}},
};

double answers(const ProbeResult& result)
{
    for (const auto& each : result.facts)
        if (each.name == "dns_answers")
            return each.value;
    return -1;
}

Address address_of(const ScriptedDns& server) { return {.host = "127.0.0.1", .port = server.port()}; }

}  // namespace

TEST_CASE("dns: what a chosen server says of a name")
{
    using Strings = std::vector<std::string>;
    using enum AddressMatch;
    struct Row {
        std::string name;
        RecordType type;
        bool exists;
        Strings addresses;
        AddressMatch match;
        Outcome outcome;
        Reason reason;
        double answers;
    };
    constexpr auto bad = Outcome::rejected;
    constexpr auto any_type = RecordType::any;
    constexpr auto none = Reason::none;
    constexpr auto other = Reason::address_mismatch;
    // clang-format off
    const auto row = GENERATE(values<Row>({
        {"app.example", any_type, true, {}, all, Outcome::ok, none, 3},
        {"APP.example", RecordType::a, true, {}, all, Outcome::ok, none, 2},
        {"app.example", RecordType::aaaa, true, {}, all, Outcome::ok, none, 1},
        {"app.example", any_type, true, {"192.0.2.2", "2001:DB8:0::1"}, all, Outcome::ok, none, 3},
        {"app.example", any_type, true, {"192.0.2.2", "192.0.2.9"}, any, Outcome::ok, none, 3},
        {"app.example", RecordType::a, true, {"192.0.2.2", "192.0.2.1"}, exactly, Outcome::ok, none, 2},
        {"app.example", RecordType::a, true, {"192.0.2.2"}, exactly, bad, other, 2},
        {"app.example", any_type, true, {"192.0.2.2", "192.0.2.9"}, all, bad, other, 3},
        {"app.example", any_type, true, {"192.0.2.9"}, any, bad, other, 3},
        {"app.example", any_type, false, {}, all, bad, Reason::name_resolved, 3},
        {"v4.example", any_type, true, {}, all, Outcome::ok, none, 1},
        {"v4.example", RecordType::aaaa, true, {}, all, bad, Reason::dns_failure, 0},
        {"v4.example", RecordType::aaaa, false, {}, all, Outcome::ok, none, 0},
        {"missing.example", any_type, true, {}, all, bad, Reason::dns_failure, 0},
        {"missing.example", any_type, false, {}, all, Outcome::ok, none, 0},
        {"missing.example", RecordType::mx, true, {}, all, bad, Reason::dns_failure, 0},
        {"failing.example", RecordType::a, true, {}, all, bad, Reason::dns_failure, 0},
        {"failing.example", any_type, false, {}, all, bad, Reason::dns_failure, 0},
        {"refused.example", RecordType::txt, true, {}, all, bad, Reason::dns_failure, 0},
        {"garbage.example", RecordType::a, true, {}, all, bad, Reason::dns_failure, 0},
        {"unsaid.example", RecordType::a, true, {}, all, bad, Reason::dns_failure, 0},
        {"unsaid.example", RecordType::srv, false, {}, all, bad, Reason::dns_failure, 0},
        {"two..dots", RecordType::a, true, {}, all, Outcome::not_attempted, Reason::bad_configuration, 0},
        {"two..dots", RecordType::ns, true, {}, all, Outcome::not_attempted, Reason::bad_configuration, 0},
    }));
    // clang-format on
    CAPTURE(row.name, name_of(row.type), row.exists, row.addresses, name_of(row.match));
    asio::io_context loop;
    ScriptedDns server{loop, names};
    const DnsSpec spec{.name = row.name,
                       .type = row.type,
                       .server = address_of(server),
                       .exists = row.exists,
                       .addresses = row.addresses,
                       .match = row.match};
    REQUIRE(spec.faults().empty());
    const auto result = run_now(loop, spec, 600ms);
    CAPTURE(result.detail, to_string(result.reason));
    CHECK(result.outcome == row.outcome);
    CHECK(result.reason == row.reason);
    CHECK(answers(result) == row.answers);
    CHECK(result.took < 600ms + slack);
}

TEST_CASE("dns: a server's reason is told")
{
    asio::io_context loop;
    ScriptedDns server{loop, names};
    const auto [name, words] = GENERATE(table<std::string, std::string>({
        {"failing.example", "SERVFAIL"},
        {"refused.example", "REFUSED"},
        {"missing.example", "no such name"},
    }));
    const auto result =
        run_now(loop, DnsSpec{.name = name, .type = RecordType::a, .server = address_of(server)});
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(words));
    CHECK(server.asked(name) == 1);
}

TEST_CASE("dns: a chosen server that is silent or not there is at fault itself")
{
    asio::io_context loop;
    asio::ip::udp::socket silent{loop, {asio::ip::make_address("127.0.0.1"), 0}};
    const Address server{.host = "127.0.0.1", .port = silent.local_endpoint().port()};
    const bool closed = GENERATE(false, true);
    if (closed)
        silent.close();
    const auto result = run_now(loop, DnsSpec{.name = "app.example", .server = server}, 500ms);
    CAPTURE(closed, result.detail);
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == (closed ? Reason::connection_refused : Reason::timeout));
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(server.text()));
    CHECK(result.took < 500ms + slack);
}

TEST_CASE("dns: without file descriptors left nothing is said about the server")
{
    asio::io_context loop;
    ScriptedDns server{loop, names};
    const auto [type, name] = GENERATE(table<RecordType, std::string>({
        {RecordType::any, "app.example"},
        {RecordType::a, "app.example"},
        {RecordType::mx, "missing.example"},
    }));
    const DnsSpec spec{
        .name = name, .type = type, .server = address_of(server), .exists = type != RecordType::mx};
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
    const auto result = without_descriptors([&] { return run_now(loop, spec); });
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(to_string(result.reason) == "resource_exhausted");
    CHECK(run_now(loop, spec).outcome == Outcome::ok);
}

TEST_CASE("dns: without a server, this machine is asked, which knows localhost")
{
    asio::io_context loop;
    CHECK(run_now(loop, DnsSpec{.name = "localhost"}).outcome == Outcome::ok);
    CHECK(run_now(loop, DnsSpec{.name = "localhost", .type = RecordType::a}).outcome == Outcome::ok);
    CHECK(run_now(loop, DnsSpec{.name = "localhost", .addresses = {"127.0.0.1"}}).outcome == Outcome::ok);
    CHECK(run_now(loop, DnsSpec{.name = "localhost", .addresses = {"192.0.2.1"}}).reason ==
          Reason::address_mismatch);
    CHECK(run_now(loop, DnsSpec{.name = "localhost", .exists = false}).reason == Reason::name_resolved);
}

TEST_CASE("dns: an attempt that is given up leaves nothing behind")
{
    asio::io_context loop;
    {
        ScriptedDns server{loop, names};
        const DnsSpec spec{.name = "unsaid.example", .server = address_of(server)};
        CHECK(run_now(loop, spec, 50ms).outcome != Outcome::ok);
    }
    loop.restart();
    loop.run_for(5s);
    CHECK(loop.stopped());
}

TEST_CASE("dns: fields that do not fit together")
{
    CHECK(DnsSpec{.name = "a"}.faults().empty());
    CHECK(DnsSpec{}.faults().size() == 1);
    CHECK(DnsSpec{.name = "a", .addresses = {"192.0.2.1", "::1"}}.faults().empty());
    CHECK(DnsSpec{.name = "a", .addresses = {"192.0.2.256"}}.faults().size() == 1);
    CHECK(DnsSpec{.name = "a", .addresses = {"fe80::1%eth0"}}.faults().size() == 1);
    CHECK(DnsSpec{.name = "a", .type = RecordType::mx, .addresses = {"::1"}}.faults().size() == 1);
    CHECK(DnsSpec{.name = "a", .exists = false, .addresses = {"::1"}}.faults().size() == 1);
}

TEST_CASE("dns: names that no server is ever asked for are no proof that one answers")
{
    const Address server{.host = "127.0.0.1", .port = 53};
    const std::string local = GENERATE("localhost", "LocalHost.", "app.localhost", "app.localhost.");
    CAPTURE(local);
    CHECK(DnsSpec{.name = local, .server = server}.faults().size() == 1);
    CHECK(DnsSpec{.name = local, .type = RecordType::mx, .server = server}.faults().empty());
    CHECK(DnsSpec{.name = local}.faults().empty());
    CHECK(DnsSpec{.name = "mylocalhost", .server = server}.faults().empty());
    const std::string number = GENERATE("192.0.2.1", "2001:db8::1");
    CHECK(DnsSpec{.name = number, .server = server}.faults().size() == 1);
    CHECK(DnsSpec{.name = number}.faults().size() == 1);
}
