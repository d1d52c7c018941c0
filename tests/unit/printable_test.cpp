#include "tests/catch.hpp"

#include "probes/environment.hpp"
#include "probes/printable.hpp"

using namespace keepwell;

TEST_CASE("bytes from outside become text that is safe to show")
{
    auto [bytes, text] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"plain\ttext\n", "plain\ttext\n"},
        {"dos\r\nline", "dos\nline"},
        {"lone\rreturn", "lone?return"},
        {std::string("nul\0l", 5), "nul?l"},
        {"\x1b[31mred\x1b[0m", "?[31mred?[0m"},
        {"gr\xc3\xbc\xc3\x9f", "grüß"},
        {"\xe2\x82\xac \xf0\x9f\x90\xb3", "€ 🐳"},
        {"\xc3", "?"},                 // cut short
        {"\xe2\x82", "??"},            // cut short
        {"\xbc tail", "? tail"},       // continuation without a start
        {"\xc0\xaf", "??"},            // overlong
        {"\xe0\x80\xaf", "???"},       // overlong
        {"\xf0\x80\x80\xaf", "????"},  // overlong
        {"\xed\xa0\x80", "???"},       // surrogate
        {"\xf4\x90\x80\x80", "????"},  // beyond Unicode
        {"\xc2\x9b"
         "31m",
         "??31m"},  // C1 control: a terminal escape of one character
        {"\x7f", "?"},
    }));
    CAPTURE(bytes);
    CHECK(printable(bytes) == text);
    CHECK(printable(text) == text);
}

TEST_CASE("the end of a text is kept without half a character")
{
    CHECK(last_of("abcdef", 10) == "abcdef");
    CHECK(last_of("abcdef", 2) == "ef");
    CHECK(last_of("a€b", 3) == "b");
    CHECK(last_of("a€b", 4) == "€b");
}

TEST_CASE("the line that says most is found")
{
    CHECK(telling_line("") == "");
    CHECK(telling_line("\n \n") == "");
    CHECK(telling_line("first\nlast\n\n") == "last");
    CHECK(telling_line("nginx: [emerg] unknown directive\nnginx: configuration test failed\n") ==
          "nginx: [emerg] unknown directive");
    CHECK(telling_line("  indented Error here  \r\nmore") == "indented Error here");
    CHECK(telling_line(std::string(300, 'x')) == std::string(197, 'x') + "...");
    CHECK(telling_line(std::string(196, 'x') + "€€€").size() == 199);
    CHECK(first_line("\n\nfirst\nsecond") == "first");
    CHECK(first_line("") == "");
}

TEST_CASE("variables that hold secrets are recognised")
{
    auto [name, value, secret] = GENERATE(table<std::string, std::string, bool>({
        {"POSTGRES_PASSWORD", "x", true},
        {"password", "x", true},
        {"API_TOKEN", "x", true},
        {"aws_secret_access_key", "x", true},
        {"MYSQL_PWD", "x", true},
        {"REDISCLI_AUTH", "x", true},
        {"DATABASE_URL", "postgres://u:p@db/x", true},
        {"DATABASE_URL", "postgres://u@db:5432/x", false},
        {"DATABASE_URL", "http://db/x:y@z", false},
        {"POSTGRES_PASSWORD_FILE", "/run/secrets/p", false},
        {"PWD", "/root", false},
        {"HOME", "/root", false},
        {"SSH_AUTH_SOCK", "/tmp/s", false},
        {"KEYBOARD", "us", false},
    }));
    CAPTURE(name, value);
    CHECK(holds_secret(name, value) == secret);
}

TEST_CASE("what holds a secret of ours is not passed on, unless it is given")
{
    ::setenv("KEEPWELL_TEST_INNOCENT", "used-as-a-secret", 1);
    ::setenv("KEEPWELL_TEST_SENTENCE", "host=db pw=used-as-a-secret", 1);
    const auto has = [](const std::vector<std::string>& entries, const std::string& name) {
        return std::ranges::any_of(entries, [&](const auto& entry) { return entry.starts_with(name + "="); });
    };
    CHECK(has(environment_for_child({}), "KEEPWELL_TEST_INNOCENT"));
    CHECK(has(environment_for_child({}), "KEEPWELL_TEST_SENTENCE"));
    withhold("used-as-a-secret");
    withhold("");
    withhold("us");
    CHECK_FALSE(has(environment_for_child({}), "KEEPWELL_TEST_INNOCENT"));
    CHECK_FALSE(has(environment_for_child({}), "KEEPWELL_TEST_SENTENCE"));
    CHECK(has(environment_for_child({}), "PATH"));
    CHECK(has(environment_for_child({{"KEEPWELL_TEST_INNOCENT", "given"}}), "KEEPWELL_TEST_INNOCENT"));
}

TEST_CASE("secrets that a program was given are not shown in what it prints")
{
    const std::map<std::string, std::string> given{
        {"DB_PASSWORD", "hunter22"}, {"SHORT_KEY", "x"}, {"NAME", "alice"}};
    CHECK(without_secrets("alice: hunter22, hunter22x!", given) == "alice: <secret>, <secret>x!");
}

TEST_CASE("an excerpt is one line, and says when there was more")
{
    CHECK(excerpt("") == "");
    CHECK(excerpt(" a\r\n\tb  ") == "a b");
    CHECK(excerpt("a\x1b[31mb\xff") == "a?[31mb?");
    CHECK(excerpt("abcdefghij", 10) == "abcdefghij");
    CHECK(excerpt("abcdefghijk", 10) == "abcdefg...");
    CHECK(excerpt("abcdef\xc3\xa4\xc3\xa4\xc3\xa4", 10) == "abcdef...");
    CHECK(excerpt("ab" + std::string(1000, ' ') + "c", 10) == "ab...");
}
