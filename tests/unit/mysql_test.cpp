#include "tests/catch.hpp"
#include "tests/unit/scripted_server.hpp"

#include "probes/digest.hpp"
#include "probes/mysql_protocol.hpp"

#include <cstring>
#include <filesystem>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

const std::string scramble = "abcdefghijklmnopqrst";

std::string greeting(std::string_view plugin = mysql::native, std::string_view version = "9.7.4",
                     bool tls = false)
{
    std::string bytes =
        "\x0a" + std::string{version} + '\0' + std::string(4, '\1') + scramble.substr(0, 8) + '\0';
    bytes +=
        tls ? std::string{"\x00\x8a", 2} : std::string{"\x00\x82", 2};  // of the capabilities, the lower half
    bytes += std::string{"\x2d\x02\x00\x08\x00\x15", 6} + std::string(10, '\0') + scramble.substr(8) + '\0';
    return mysql::packet(0, bytes + std::string{plugin} + '\0');
}

std::string ok_payload(std::uint8_t flags = 2)
{
    return std::string{"\0\0\0", 3} + char(flags) + std::string(3, '\0');
}
std::string end_payload(std::uint8_t flags = 2) { return std::string{"\xfe\0\0", 3} + char(flags) + '\0'; }

std::string error_payload(std::uint16_t code, std::string_view words = "no",
                          std::string_view state = "#HY000")
{
    return std::string{"\xff"} + static_cast<char>(code) + static_cast<char>(code >> 8) + std::string{state} +
           std::string{words};
}

// Packets in a row, from that number on.
std::string packets(std::uint8_t number, const std::vector<std::string>& payloads)
{
    std::string bytes;
    for (const auto& payload : payloads)
        bytes += mysql::packet(number++, payload);
    return bytes;
}

std::string counted(const char* value)
{
    return value ? char(std::strlen(value)) + std::string{value} : "\xfb";
}

std::vector<std::string> rows(const std::vector<const char*>& values, std::uint8_t flags = 2)
{
    std::vector<std::string> payloads{"\1", "\3def and so on", end_payload()};
    for (const char* value : values)
        payloads.push_back(counted(value));
    payloads.push_back(end_payload(flags));
    return payloads;
}

std::size_t login_size(std::string_view user, std::size_t proof, std::string_view plugin = mysql::native)
{
    return 4 + 32 + user.size() + 1 + 1 + proof + plugin.size() + 1 + 23;
}

constexpr std::size_t command_size = 5;
const std::string welcome = packets(2, {ok_payload()});

std::vector<Step> course_of_login(std::vector<Step> then = {{command_size, packets(1, {ok_payload()})}})
{
    std::vector<Step> script{{0, greeting()}, {login_size("app", 20), welcome}};
    script.insert(script.end(), then.begin(), then.end());
    return script;
}

MysqlSpec login(const ScriptedServer& server)
{
    return {.address = server.address(), .user = "app", .password = Secret{"hunter2"}};
}

std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("mysql: a login and a ping")
{
    asio::io_context loop;
    ScriptedServer server{loop, course_of_login()};
    const auto result = run_now(loop, login(server));
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.phase == Phase::reply);
    loop.run_for(50ms);
    const auto& sent = server.received();
    CHECK(sent.substr(0, 4) == std::string{char(login_size("app", 20) - 4), '\0', '\0', '\1'});
    CHECK_THAT(sent, Catch::Matchers::ContainsSubstring(std::string{"app\0\x14", 5}) &&
                         Catch::Matchers::ContainsSubstring("program_name") &&
                         !Catch::Matchers::ContainsSubstring("hunter2") &&
                         Catch::Matchers::EndsWith(std::string{"\1\0\0\0\x0e\1\0\0\0\1", 10}));
}

TEST_CASE("mysql: what a server says instead of letting us in")
{
    auto [reply, outcome, reason, nobody] = GENERATE(table<std::string, Outcome, Reason, Outcome>({
        {error_payload(1045), Outcome::rejected, Reason::authentication_failed, Outcome::ok},
        {error_payload(1044), Outcome::rejected, Reason::authentication_failed, Outcome::ok},
        {error_payload(1698), Outcome::rejected, Reason::authentication_failed, Outcome::ok},
        {error_payload(3159), Outcome::rejected, Reason::authentication_failed, Outcome::ok},
        {error_payload(1040), Outcome::rejected, Reason::too_many_connections, Outcome::rejected},
        {error_payload(1203), Outcome::rejected, Reason::too_many_connections, Outcome::rejected},
        {error_payload(1053), Outcome::rejected, Reason::starting_up, Outcome::rejected},
        {error_payload(1049), Outcome::rejected, Reason::query_failed, Outcome::rejected},
        {std::string{"\xfe"} + "auth_gssapi_client" + '\0', Outcome::rejected, Reason::authentication_failed,
         Outcome::ok},
        {std::string{"\xfe"} + "mysql_clear_password" + '\0', Outcome::rejected,
         Reason::authentication_failed, Outcome::ok},
        {"\xfe", Outcome::rejected, Reason::authentication_failed, Outcome::rejected},
        {"\1what", Outcome::rejected, Reason::protocol_error, Outcome::rejected},
        {"\2", Outcome::rejected, Reason::protocol_error, Outcome::rejected},
        {"", Outcome::rejected, Reason::protocol_error, Outcome::rejected},
    }));
    CAPTURE(reply);
    asio::io_context loop;
    ScriptedServer server{loop, {{0, greeting()}, {login_size("app", 20), packets(2, {reply})}}};
    const auto result = run_now(loop, login(server));
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK(result.phase == Phase::request);
    CHECK_THAT(server.received(), !Catch::Matchers::ContainsSubstring("hunter2"));

    ScriptedServer open{loop, {{0, greeting()}, {login_size("keepwell", 0), packets(2, {reply})}}};
    CHECK(run_now(loop, MysqlSpec{.address = open.address()}).outcome == nobody);
}

TEST_CASE("mysql: what a server says instead of a greeting")
{
    auto [hello, reason] = GENERATE(table<std::string, Reason>({
        {packets(0, {error_payload(1040, "Too many connections", "")}), Reason::too_many_connections},
        {packets(0, {error_payload(1129, "Host is blocked", "")}), Reason::host_blocked},
        {packets(0, {error_payload(1130, "Host is not allowed", "")}), Reason::authentication_failed},
        {packets(0, {"\x09"
                     "3.23.58"}),
         Reason::protocol_error},
        {packets(0, {"\x0a"}), Reason::protocol_error},
        {packets(0, {""}), Reason::protocol_error},
        {packets(0, {"\xff"}), Reason::protocol_error},
        {packets(1, {"\x0a"}), Reason::protocol_error},
        {greeting().substr(0, 24) + std::string{"\0\0", 2} + greeting().substr(26), Reason::protocol_error},
        {"SSH-2.0-OpenSSH_9.2\r\n", Reason::protocol_error},
        {"HTTP/1.1 408 Request Timeout\r\n\r\n", Reason::protocol_error},
        {"220 mail ESMTP\r\n", Reason::protocol_error},
    }));
    CAPTURE(hello);
    asio::io_context loop;
    ScriptedServer server{loop, {{0, hello}}};
    const auto result = run_now(loop, login(server));
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == reason);
}

TEST_CASE("mysql: the ways to authenticate")
{
    struct Way {
        std::string plugin;
        std::size_t proof;
        std::vector<Step> then;
    };
    const std::string other = "ABCDEFGHIJKLMNOPQRST";
    const auto native_switch = "\xfe" + std::string{mysql::native} + '\0' + other + '\0';
    const auto sha2_switch = "\xfe" + std::string{mysql::caching_sha2} + '\0' + other + '\0';
    const auto sha256_switch = "\xfe" + std::string{mysql::sha256_plugin} + '\0' + other + '\0';
    const std::string key = R"(-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqGKukO1De7zhZj6+H0qtjTkVxwTCpvKe4eCZ0
FPqri0cb2JZfXJ/DgYSF6vUpwmJG8wVQZKjeGcjDOL5UlsuusFncCzWBQ7RKNUSesmQRMSGkVb1/
3j+skZ6UtW+5u09lHNsj6tQ51s1SPrCBkedbNf0Tp0GbMJDyR4e9T04ZZwIDAQAB
-----END PUBLIC KEY-----
)";
    const auto login_ok = [](std::uint8_t number) { return packets(number, {ok_payload()}); };
    auto way = GENERATE_COPY(values<Way>({
        {std::string{mysql::native}, 20, {{0, login_ok(2)}}},
        {std::string{mysql::native},
         20,
         {{0, packets(2, {sha2_switch})}, {4 + 32, packets(4, {"\1\3", ok_payload()})}}},
        {std::string{mysql::caching_sha2}, 32, {{0, packets(2, {"\1\3", ok_payload()})}}},
        {std::string{mysql::caching_sha2},
         32,
         {{0, packets(2, {"\1\4"})}, {5, packets(4, {"\1" + key})}, {4 + 128, login_ok(6)}}},
        {std::string{mysql::caching_sha2}, 32, {{0, packets(2, {native_switch})}, {4 + 20, login_ok(4)}}},
        {"client_ed25519", 20, {{0, packets(2, {native_switch})}, {4 + 20, login_ok(4)}}},
        {std::string{mysql::native},
         20,
         {{0, packets(2, {sha256_switch})}, {5, packets(4, {"\1" + key})}, {4 + 128, login_ok(6)}}},
    }));
    CAPTURE(way.plugin, way.then.size());
    const auto said = way.plugin == "client_ed25519" ? std::string{mysql::native} : way.plugin;
    asio::io_context loop;
    std::vector<Step> script{{0, greeting(way.plugin)}, {login_size("app", way.proof, said), ""}};
    script.insert(script.end(), way.then.begin(), way.then.end());
    script.push_back({command_size, packets(1, {ok_payload()})});
    ScriptedServer server{loop, script};
    const auto result = run_now(loop, login(server));
    CAPTURE(result.detail);
    CHECK(result.outcome == Outcome::ok);
    CHECK_THAT(server.received(), !Catch::Matchers::ContainsSubstring("hunter2"));
}

TEST_CASE("mysql: a proof is what a server can check without knowing the password")
{
    const auto differ = [](std::string left, const std::string& right) {
        for (std::size_t i = 0; i < left.size(); ++i)
            left[i] = static_cast<char>(left[i] ^ right[i]);
        return left;
    };
    const auto by_sha1 = mysql::proof(mysql::native, "hunter2", scramble, false);
    const auto stored = sha1(sha1("hunter2"));
    CHECK(sha1(differ(*by_sha1, sha1(scramble + stored))) == stored);

    const auto by_sha256 = mysql::proof(mysql::caching_sha2, "hunter2", scramble, false);
    const auto cached = sha256(sha256("hunter2"));
    CHECK(sha256(differ(*by_sha256, sha256(cached + scramble))) == cached);

    CHECK(mysql::proof(mysql::native, "", scramble, false) == "");
    CHECK(mysql::proof(mysql::clear, "hunter2", scramble, true) == std::string{"hunter2\0", 8});
    CHECK_FALSE(mysql::proof(mysql::clear, "hunter2", scramble, false));
    CHECK_FALSE(mysql::proof("dialog", "hunter2", scramble, true));
    CHECK_THROWS_AS(mysql::proof(mysql::native, "hunter2", "short", false), Failure);
}

TEST_CASE("mysql: a peer that fails before any step is judged in time")
{
    const auto result = rows({"1"});
    const std::vector<Step> query{{command_size, packets(1, {ok_payload()})},
                                  {command_size, packets(1, result).substr(0, 20)},
                                  {0, ""}};
    const auto script = GENERATE_COPY(values<std::vector<Step>>({
        course_of_login(),
        course_of_login(query),
        {{0, greeting(mysql::caching_sha2)},
         {login_size("app", 32, mysql::caching_sha2), packets(2, {"\1\4"})},
         {5, packets(4, {"\1-----BEGIN"}).substr(0, 9)},
         {0, ""}},
    }));
    auto [fault, outcome, reason] = GENERATE(table<Fault, Outcome, Reason>({
        {Fault::stall, Outcome::no_response, Reason::timeout},
        {Fault::close, Outcome::no_response, Reason::connection_closed},
        {Fault::reset, Outcome::no_response, Reason::connection_reset},
        {Fault::garbage, Outcome::rejected, Reason::protocol_error},
    }));
    const auto before = open_descriptors();
    for (std::size_t step = 0; step < script.size(); ++step) {
        CAPTURE(script.size(), step, fault);
        {
            asio::io_context loop;
            ScriptedServer server{loop, script, fault, step};
            auto spec = login(server);
            if (script.size() == 5)
                spec.query = "SELECT 1";
            const auto end = run_now(loop, spec, 300ms);
            CAPTURE(end.detail);
            CHECK(end.took < 1s);
            const bool may_reset = step > 0 && (fault == Fault::close || fault == Fault::reset);
            CHECK(end.outcome == outcome);
            CHECK((end.reason == reason || (may_reset && (end.reason == Reason::connection_reset ||
                                                          end.reason == Reason::connection_closed))));
        }
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("mysql: a query's value")
{
    struct Row {
        std::vector<std::string> reply;
        std::optional<std::string> expect;
        Reason reason;
    };
    auto two_results = rows({"1"}, 8 | 2);
    for (const auto& payload : rows({"2"}))
        two_results.push_back(payload);
    auto broken = rows({"1"});
    broken.back() = error_payload(1317, "Query execution was interrupted");
    std::vector<std::string> long_value{
        "\1", "\3def", end_payload(), std::string{"\xfc\x2c\x01", 3} + std::string(300, 'x'), end_payload()};
    auto row = GENERATE_COPY(values<Row>({
        {rows({"1"}), {}, Reason::none},
        {rows({"1"}), "1", Reason::none},
        {rows({"1", "2"}), "1", Reason::none},
        {rows({"1"}), "2", Reason::value_mismatch},
        {rows({nullptr}), "1", Reason::value_mismatch},
        {rows({}), "1", Reason::value_mismatch},
        {rows({}), {}, Reason::none},
        {rows({""}), "", Reason::none},
        {two_results, "1", Reason::none},
        {long_value, std::string(300, 'x'), Reason::none},
        {{ok_payload()}, {}, Reason::none},
        {{ok_payload()}, "1", Reason::value_mismatch},
        {{ok_payload(8 | 2), ok_payload()}, {}, Reason::none},
        {{error_payload(1064, "You have an error in your SQL syntax")}, {}, Reason::query_failed},
        {{error_payload(1053)}, {}, Reason::starting_up},
        {broken, "1", Reason::query_failed},
        {{"\xfb/etc/passwd"}, {}, Reason::protocol_error},
        {{"\1", "\3def", end_payload(), "\x09short"}, {}, Reason::protocol_error},
        {{"\xff"}, {}, Reason::protocol_error},
    }));
    CAPTURE(row.reply, row.expect);
    asio::io_context loop;
    const auto script = course_of_login(
        {{command_size, packets(1, {error_payload(1193)})}, {command_size, packets(1, row.reply)}});
    ScriptedServer server{loop, script};
    auto spec = login(server);
    spec.query = "SELECT 1";
    spec.expect = row.expect;
    const auto result = run_now(loop, spec);
    CAPTURE(result.detail);
    CHECK(result.reason == row.reason);
    CHECK(result.outcome == (row.reason == Reason::none ? Outcome::ok : Outcome::rejected));
}

TEST_CASE("mysql: a query is limited to the attempt, in the server's own words")
{
    const auto [version, words] = GENERATE(table<std::string, std::string>({
        {"9.7.4", "SET SESSION max_execution_time = "},
        {"5.5.5-10.11.6-MariaDB-0+deb12u1", "SET SESSION max_statement_time = "},
    }));
    asio::io_context loop;
    ScriptedServer server{loop,
                          {{0, greeting(mysql::native, version)},
                           {login_size("app", 20), welcome},
                           {command_size, packets(1, {ok_payload()})},
                           {command_size, packets(1, rows({"2.5"}))}}};
    auto spec = login(server);
    spec.query = "SELECT 1";
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.facts == std::vector<Fact>{{"query_value", 2.5}});
    CHECK_THAT(server.received(), Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE("mysql: more than a probe needs is refused")
{
    asio::io_context loop;
    std::vector<std::string> many{"\1", "\3def", end_payload()};
    for (int i = 0; i < 40; ++i)
        many.push_back(std::string{"\xfc\xff\xff", 3} + std::string(65535, 'x'));
    const auto script =
        course_of_login({{command_size, packets(1, {ok_payload()})}, {command_size, packets(1, many)}});
    ScriptedServer server{loop, script};
    auto spec = login(server);
    spec.query = "SELECT 1";
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == Reason::reply_too_large);
}

TEST_CASE("mysql: TLS is not given up, and nothing that came before it is believed")
{
    asio::io_context loop;
    const auto [hello, reason] = GENERATE(table<std::string, Reason>({
        {greeting(), Reason::tls_failure},
        {greeting(mysql::native, "9.7.4", true) + packets(1, {ok_payload()}), Reason::protocol_error},
    }));
    ScriptedServer server{loop, {{0, hello}}};
    auto spec = login(server);
    spec.tls.emplace();
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == reason);
    CHECK(server.received().empty());
}

TEST_CASE("mysql: what no single field can know")
{
    CHECK(MysqlSpec{}.faults().empty());
    CHECK(MysqlSpec{.user = "app", .password = Secret{"x"}, .query = "SELECT 1", .expect = "1"}
              .faults()
              .empty());
    CHECK(MysqlSpec{.password = Secret{"x"}}.faults().size() == 1);
    CHECK(MysqlSpec{.query = "SELECT 1"}.faults().size() == 1);
    CHECK(MysqlSpec{.user = "app", .expect = "1"}.faults().size() == 1);
}
