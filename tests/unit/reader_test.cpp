#include "tests/catch.hpp"

#include "daemon/document.hpp"
#include "daemon/reader.hpp"
#include "probes/address.hpp"
#include "probes/pattern.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

enum class Colour : std::uint8_t { red, green };
constexpr auto enum_names(Colour)
{
    return std::array{Named{Colour::red, "red"}, Named{Colour::green, "green"}};
}

struct Inner {
    std::string name{};
    int count = 1;
    bool deep = false;
    static constexpr auto fields()
    {
        return std::tuple{optional("name", &Inner::name, "n"),
                          optional("count", &Inner::count, "c").between(1, 9),
                          optional("deep", &Inner::deep, "d")};
    }
    std::vector<std::string> faults() const
    {
        return deep && name.empty() ? std::vector<std::string>{"deep needs a name"}
                                    : std::vector<std::string>{};
    }
    bool operator==(const Inner&) const = default;
};

struct Outer {
    Address address{};
    bool flag = false;
    std::uint16_t port = 80;
    double ratio = 0.5;
    Colour colour = Colour::red;
    Duration wait = 10s;
    ByteSize size{.bytes = 1024};
    Pattern body{};
    Secret password{};
    std::vector<int> codes{200};
    std::vector<Inner> items{};
    std::optional<Inner> tls{};
    std::optional<int> limit{};
    std::map<std::string, std::string> headers{};
    Inner inner{};
    std::string ca_file{};
    static constexpr auto fields()
    {
        return std::tuple{
            required("address", &Outer::address, "where"),
            optional("flag", &Outer::flag, "f"),
            optional("port", &Outer::port, "p").between(1, 65535),
            optional("ratio", &Outer::ratio, "r"),
            optional("colour", &Outer::colour, "c"),
            optional("wait", &Outer::wait, "w").between(1'000'000, 60'000'000'000),
            optional("size", &Outer::size, "s").between(1, 1 << 20),
            optional("body", &Outer::body, "b"),
            optional("password", &Outer::password, "p"),
            optional("codes", &Outer::codes, "c").between(100, 599),
            optional("items", &Outer::items, "i"),
            optional("tls", &Outer::tls, "t"),
            optional("limit", &Outer::limit, "l"),
            optional("headers", &Outer::headers, "h"),
            optional("inner", &Outer::inner, "i"),
            optional("ca_file", &Outer::ca_file, "c"),
        };
    }
};

struct Read {
    Outer value{};
    std::string problems{};
};

Read read(std::string_view text, const std::string& directory = "/")
{
    auto document = parse_document(text, "f");
    Read result;
    Reader{"f", directory, document.problems}.read(document.root, result.value);
    sort_by_place(document.problems);
    result.problems = render(document.problems);
    return result;
}

std::string text(const Outer& value) { return text_of(value); }

}  // namespace

TEST_CASE("a table is read by its fields")
{
    auto [yaml, value] = GENERATE(table<std::string, std::string>({
        {"address: db:1", "{address: db:1}"},
        {"db:1", "{address: db:1}"},
        {"{address: 'db:1', flag: true, port: 443, ratio: 0.25, colour: green}",
         "{address: db:1, flag: true, port: 443, ratio: 0.25, colour: green}"},
        {"{address: 'db:1', wait: 1m, size: 1KiB, body: '^x$'}", "{address: db:1, wait: 1m, body: ^x$}"},
        {"{address: 'db:1', password: 0123}", "{address: db:1, password: <secret>}"},
        {"{address: 'db:1', codes: 404}", "{address: db:1, codes: [404]}"},
        {"{address: 'db:1', codes: []}", "{address: db:1, codes: }"},
        {"{address: 'db:1', items: [{name: a}, b, {}]}",
         "{address: db:1, items: [{name: a}, {name: b}, {}]}"},
        {"{address: 'db:1', tls: true, limit: 5}", "{address: db:1, tls: {}, limit: 5}"},
        {"{address: 'db:1', tls: false, limit: ~}", "{address: db:1}"},
        {"{address: 'db:1', tls: {deep: true, name: x}}", "{address: db:1, tls: {name: x, deep: true}}"},
        {"{address: 'db:1', headers: {A: 1, B: , C: true}}",
         "{address: db:1, headers: {A: ..., B: ..., C: ...}}"},
        {"{address: 'db:1', inner: {count: 9}}", "{address: db:1, inner: {count: 9}}"},
    }));
    CAPTURE(yaml);
    const auto result = read(yaml);
    CHECK(result.problems == "");
    CHECK(text(result.value) == value);
}

TEST_CASE("what does not fit is told with its place, what was expected and what was found")
{
    auto [yaml, problem] = GENERATE(table<std::string, std::string>({
        {"", "f: the key \"address\" is missing; where\n"},
        {"[1]", "f:1:1: expected a mapping, found a list; write \"key: value\" without \"- \"\n"},
        {"flag: maybe", "f:1:7: flag: expected true or false, found \"maybe\"\n"},
        {"flag: yes", "f:1:7: flag: expected true or false, found \"yes\"\n"},
        {"flag:", "f:1:1: flag: expected true or false, found nothing\n"},
        {"port: 0", "f:1:7: port: expected a whole number between 1 and 65535, found \"0\"\n"},
        {"port: 70000", "f:1:7: port: expected a whole number between 1 and 65535, found \"70000\"\n"},
        {"port: 1e3", "f:1:7: port: expected a whole number between 1 and 65535, found \"1e3\"\n"},
        {"limit: 99999999999999999999",
         "f:1:8: limit: expected a whole number, found \"99999999999999999999\"\n"},
        {"ratio: nan", "f:1:8: ratio: expected a number, found \"nan\"\n"},
        {"colour: gren", "f:1:9: colour: expected red, green, found \"gren\"; did you mean \"green\"?\n"},
        {"wait: 5parsecs",
         "f:1:7: wait: expected a duration such as \"500ms\", \"10s\" or \"1m30s\", found "
         "\"5parsecs\"\n"},
        {"wait: 2m", "f:1:7: wait: expected a duration between 1ms and 1m, found \"2m\"\n"},
        {"size: 1GiB", "f:1:7: size: expected a size between 1 and 1MiB, found \"1GiB\"\n"},
        {"body: '['", "f:1:7: body: bad regular expression (RE2): missing ]: [\n"},
        {"password: [hunter2]", "f:1:11: password: expected a secret, found a list\n"},
        {"password: {hunter2: x}", "f:1:11: password: expected a secret, found a mapping\n"},
        {"codes: [200, 99, x]",
         "f:1:14: codes[1]: expected a whole number between 100 and 599, found \"99\"\n"
         "f:1:18: codes[2]: expected a whole number between 100 and 599, found \"x\"\n"},
        {"codes: {a: 1}", "f:1:8: codes: expected a list, found a mapping; begin each item with \"- \"\n"},
        {"items:\n- nmae: x", "f:2:3: items[0].nmae: unknown key \"nmae\"; did you mean \"name\"?\n"},
        {"items: x", "f:1:8: items: expected a list, found \"x\"\n"},
        {"tls: {deep: true}", "f:1:7: tls: deep needs a name\n"},
        {"headers: [A=1]",
         "f:1:10: headers: expected a mapping, found a list; write \"name: value\" without \"- \"\n"},
        {"headers: {A: [1]}", "f:1:14: headers.A: expected text, found a list\n"},
        {"inner: {count: 10}",
         "f:1:16: inner.count: expected a whole number between 1 and 9, found \"10\"\n"},
        {"paswrd_file: x",
         "f:1:1: paswrd_file: unknown key \"paswrd_file\"; did you mean \"password_file\"?\n"},
        {"flag_file: x", "f:1:1: flag_file: unknown key \"flag_file\"; did you mean \"ca_file\"?\n"},
        {"password_file: /nonexistent",
         "f:1:16: password_file: cannot read the secret from \"/nonexistent\": No such "
         "file or directory; check the path and its permissions\n"},
        {"password_file: /",
         "f:1:16: password_file: cannot read the secret from \"/\": not a regular file; check the "
         "path and its permissions\n"},
        {"password: a\npassword_file: /dev/null",
         "f:2:1: both password and password_file are given; keep one\n"
         "f:2:16: password_file: cannot read the secret from \"/dev/null\": not a regular file; check the "
         "path and "
         "its permissions\n"},
        {"ca_file: /nonexistent",
         "f:1:10: ca_file: cannot read \"/nonexistent\": No such file or directory; check the "
         "path and its permissions\n"},
        {"ca_file: /tmp", "f:1:10: ca_file: \"/tmp\" is a directory; name a file\n"},
        {"body: {instance}",
         "f:1:7: body: expected a regex, found a mapping; put \"{instance}\" in quotes\n"},
    }));
    CAPTURE(yaml);
    const bool needs_address = !yaml.empty() && yaml[0] != '[';
    CHECK(read(needs_address ? yaml + "\naddress: db:1" : yaml).problems == problem);
}

TEST_CASE("a secret comes from its file without the newline at its end")
{
    const auto directory =
        std::filesystem::temp_directory_path() / ("keepwell-reader-" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    std::ofstream{directory / "password"} << "hunter2\n\n";
    std::ofstream{directory / "empty"} << "\n";
    std::ofstream{directory / "ca.pem"} << "x";

    const auto good = read("{address: 'db:1', password_file: password, ca_file: ca.pem}", directory.string());
    CHECK(good.problems == "");
    CHECK(good.value.password.reveal() == "hunter2\n");
    CHECK(good.value.ca_file == (directory / "ca.pem").string());
    CHECK(
        read("{address: 'db:1', password_file: empty}", directory.string()).problems.contains("it is empty"));
    std::filesystem::remove_all(directory);
}

TEST_CASE("a value that came from a variable is not shown")
{
    ::setenv("KEEPWELL_TEST_SECRET", "hunter2", 1);
    const auto problems =
        read(
            "{address: 'db:1', wait: \"${KEEPWELL_TEST_SECRET}\", colour: \"${KEEPWELL_TEST_SECRET}\", "
            "body: \"(${KEEPWELL_TEST_SECRET}\"}")
            .problems;
    ::unsetenv("KEEPWELL_TEST_SECRET");
    CHECK(problems.contains("found the value of a variable"));
    CHECK_FALSE(problems.contains("hunter2"));
}
