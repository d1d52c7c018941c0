#include "tests/catch.hpp"

#include "probes/dns_message.hpp"

using namespace keepwell;
using namespace std::string_literals;

namespace {

// A response with one question (`a.`) and these records in its answer section.
std::string response(int answers, const std::string& records)
{
    return "\x12\x34\x81\x83\0\1\0"s + static_cast<char>(answers) + "\0\0\0\0\1a\0\0\1\0\1"s + records;
}

// A record of `a.`, whose name is where the question has it, with a TTL of 300 s.
std::string record(char type, const std::string& data)
{
    return "\xc0\x0c\0"s + type + "\0\1\0\0\1\x2c\0"s + static_cast<char>(data.size()) + data;
}

std::string data_of(char type, const std::string& data)
{
    const auto message = parse_dns_message(response(1, record(type, data)));
    REQUIRE(message);
    REQUIRE(message->answers.size() == 1);
    return message->answers.front().data;
}

}  // namespace

TEST_CASE("a DNS query has the bytes that RFC 1035 asks for")
{
    CHECK(dns_query(0x1234, "www.a", 1, 1, true) == "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\1a\0\0\1\0\1"s);
    CHECK(dns_query(1, "a.", 6, 3, false) == "\0\1\0\0\0\1\0\0\0\0\0\0\1a\0\0\6\0\3"s);
    CHECK(dns_query(1, ".", 2, 1, false) == "\0\1\0\0\0\1\0\0\0\0\0\0\0\0\2\0\1"s);
    CHECK_FALSE(dns_query(1, "a..b", 1, 1, true));
    CHECK_FALSE(dns_query(1, std::string(64, 'a') + ".b", 1, 1, true));
    std::string long_name;
    for (int i = 0; i < 70; ++i)
        long_name += "abc.";
    CHECK_FALSE(dns_query(1, long_name, 1, 1, true));
}

TEST_CASE("the records of a DNS answer are shown as dig shows them")
{
    const auto message = parse_dns_message(response(1, record(1, "\x7f\0\0\1"s)));
    REQUIRE(message);
    CHECK(message->id == 0x1234);
    CHECK(message->is_response);
    CHECK(dns_rcode_name(message->rcode) == "NXDOMAIN");
    CHECK(message->answers.front().text() == "a.\t300\tIN\tA\t127.0.0.1");

    CHECK(data_of(28, std::string(15, '\0') + '\1') == "::1");
    CHECK(data_of(5, "\1b\xc0\x0c"s) == "b.a.");
    CHECK(data_of(15, "\0\x0a\2mx\0"s) == "10 mx.");
    CHECK(data_of(16, "\3a\"b\2\xff\\"s) == R"("a\"b" "\255\\")");
    CHECK(data_of(33, "\0\1\0\2\0\x35\1b\0"s) == "1 2 53 b.");
    CHECK(data_of(6, "\2ns\0\2me\0\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"s) == "ns. me. 7 1 2 3 4");
    CHECK(data_of(2, "\3a.b\0"s) == "a\\.b.");
    CHECK(data_of(77, "\xab\1"s) == "\\# 2 ab01");
    CHECK(data_of(1, "\1\2"s) == "\\# 2 0102");
}

TEST_CASE("a DNS message that is cut off, lies about its lengths or points in circles is none")
{
    const auto whole = response(2, record(1, "\x7f\0\0\1"s) + record(5, "\1b\xc0\x0c"s));
    REQUIRE(parse_dns_message(whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(parse_dns_message(whole.substr(0, size)));
    CHECK_FALSE(parse_dns_message(response(1, record(5, "\xc0\x1f"s))));      // points at itself
    CHECK_FALSE(parse_dns_message(response(1, record(5, "\1b\xc0\x1f"s))));   // points at what leads to it
    CHECK_FALSE(parse_dns_message(response(1, record(15, "\0\1\1b\0\0"s))));  // has more than it needs
    CHECK_FALSE(parse_dns_message(response(1, record(16, "\5ab"s))));
    CHECK_FALSE(parse_dns_message(response(1, record(5, "\x80\0"s))));  // a kind of label that there is not
}

TEST_CASE("types, classes and response codes have their names")
{
    CHECK(dns_type("SOA") == 6);
    CHECK(dns_type("TYPE65280") == 65280);
    CHECK_FALSE(dns_type("TYPE65536"));
    CHECK_FALSE(dns_type("soa"));
    CHECK(dns_class("CH") == 3);
    CHECK(dns_rcode("REFUSED") == 5);
    CHECK_FALSE(dns_rcode("FINE"));
}
