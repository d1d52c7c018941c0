#include "tests/catch.hpp"

#include "daemon/document.hpp"

using namespace keepwell;
using namespace std::string_literals;

namespace {

std::optional<std::string> lookup(std::string_view name)
{
    if (name == "INJECT")
        return "x, b: [1";
    return name == "BIG" ? std::optional{std::string(1 << 20, 'x')} : std::nullopt;
}

Document parse(std::string_view text, const DocumentLimits& limits = {})
{
    return parse_document(text, "f", lookup, limits);
}

// Exactly one problem, which holds these words.
bool says(const Document& document, std::string_view words)
{
    UNSCOPED_INFO(render(document.problems));
    return document.problems.size() == 1 && to_string(document.problems[0]).contains(words);
}

// The tree on one line, without places.
std::string flat(const Node& node)
{
    std::string text = node.key.empty() ? "" : node.key + "=";
    if (node.is_scalar())
        return text + (node.quoted ? "'" + node.text + "'" : node.text);
    if (node.is_null())
        return text + "~";
    text += node.is_mapping() ? "{" : "[";
    for (const auto& child : node.children)
        text += (&child == &node.children.front() ? "" : " ") + flat(child);
    return text + (node.is_mapping() ? "}" : "]");
}

}  // namespace

TEST_CASE("YAML becomes a tree")
{
    auto [text, tree] = GENERATE(table<std::string, std::string>({
        {"", "~"},
        {"# only a comment\n", "~"},
        {"---\na: 1\n...\n", "{a=1}"},
        {"\xEF\xBB\xBF"
         "a: 1\r\nb: 2\r\n",
         "{a=1 b=2}"},
        {"a: 0123\nb: 'true'\nc: ~\nd:\ne: \"null\"\n", "{a=0123 b='true' c=~ d=~ e='null'}"},
        {"- a\n- {b: [c, d]}\n", "[a {b=[c d]}]"},
        {"a: |\n  x\n  y\n", "{a='x\ny\n'}"},
        {"a: !!str 5\n", "{a='5'}"},
        {"x: &d {i: 1, j: 2}\na: {<<: *d, j: 3}\n", "{x={i=1 j=2} a={j=3 i=1}}"},
        {"x: &d {i: 1}\ny: &e {i: 2, k: 3}\na:\n  <<: [*d, *e]\n", "{x={i=1} y={i=2 k=3} a={i=1 k=3}}"},
        {"x: &n 5\na: [*n, *n]\n", "{x=5 a=[5 5]}"},
        {"a: ${NONE:-d}\nb: '$${x}'\nc: ^x$\n", "{a=d b='${x}' c=^x$}"},
        {"a: [\"${INJECT}\"]\nb: ${INJECT}\n",
         "{a=['x, b: [1'] b=x, b: [1}"},  // a value cannot add structure
        {"${NONE}: key\n", "{${NONE}=key}"},
    }));
    CAPTURE(text);
    const auto document = parse(text);
    CHECK(render(document.problems) == "");
    CHECK(flat(document.root) == tree);
}

TEST_CASE("every node knows its place")
{
    const auto document = parse("a:\n  bb:\n    - c: 1\n      d: 'x'\n");
    const auto& item = document.root.find("a")->find("bb")->children.at(0);
    CHECK(document.root.find("a")->find("bb")->key_mark == Mark{2, 3});
    CHECK(item.mark == Mark{3, 7});
    CHECK(item.find("d")->key_mark == Mark{4, 7});
    CHECK(item.find("d")->mark == Mark{4, 10});
    CHECK(item.find("e") == nullptr);
}

TEST_CASE("broken YAML is refused with its place and what to do")
{
    auto [text, problem] = GENERATE(table<std::string, std::string>({
        {"a: 1\nb: 2\na: 3\n", "f:3:1: the key \"a\" is here twice; the first one is in line 1\n"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; keep one document per file\n"},
        {"- a\nb: 1\n", "f:2:1: this does not continue what stands above; check the indentation\n"},
        {"a:\n\tb: 1\n", "f:2:1: a tab in the indentation; indent with spaces\n"},
        {"a: b: c\n",
         "f:1:5: \":\" is not expected here; check the indentation of this line and the one above, "
         "or put text with \": \" in quotes\n"},
        {"a: [1,\n   2\nb: 3\n", "f:1:4: \"[\" without its \"]\"; close it, or look for a missing comma\n"},
        {"a: [${x}]\n", "f:1:4: \"[\" without its \"]\"; put ${...} inside of brackets in quotes\n"},
        {"a: {b: 1\n", "f:1:4: \"{\" without its \"}\"; close it, or look for a missing comma\n"},
        {"a: 1\nb: 'x\nc: 2\n", "f:2:4: a quoted text does not end; add the closing quote\n"},
        {"a: [\"x]\nb: 1\n", "f:1:5: a quoted text does not end; add the closing quote\n"},
        {"a: \"\\d+\"\n",
         "f:1:7: no such escape in double quotes; use single quotes, in which a backslash is a "
         "backslash\n"},
        {"a: @x\n", "f:1:4: no value may begin with this character; put the text in quotes\n"},
        {"a: *x\n",
         "f:1:4: an alias of an anchor that is not defined above; define it with \"&name\", or put the "
         "text in quotes if it begins with \"*\"\n"},
        {"a: &x {b: *x}\n", "f:1:11: an alias inside of what it stands for; name another anchor\n"},
        {"a: !include x.yaml\n",
         "f:1:4: the tag \"!include\" is not supported; remove it, or put the text in quotes\n"},
        {"? [a]\n: 1\n", "f:1:3: a key must be a word, found a list; write \"key: value\"\n"},
        {"<<: 5\n", "f:1:5: \"<<\" merges mappings, found \"5\"; write \"<<: *anchor\"\n"},
        {"a: 1\n}\n",
         "f:2:1: a closing bracket without an opening one; remove it or put the text in quotes\n"},
        {"a: x\0y\n"s, "f:1:5: a NUL byte; this seems to be no text file\n"},
        {"a: \x1b[1m\n",
         "f:1:4: the control character 0x1b; remove it, or write it as an escape in double quotes\n"},
        {"a: 1\nb: caf\xe9\n", "f:2:7: the byte 0xe9 is not UTF-8 here; save the file as UTF-8\n"},
        {"a: \xc0\xaf\n", "f:1:4: the byte 0xc0 is not UTF-8 here; save the file as UTF-8\n"},
        {"\xff\xfe"
         "a\0"s,
         "f:1:1: this text is UTF-16; save it as UTF-8\n"},
        {"a: [{c: \"${NONE}\"}]\nb: ${NONE2:?say where}\n",
         "f:1:9: a[0].c: the variable NONE is not set; set it, or give a default: ${NONE:-default}\n"
         "f:2:4: b: the variable NONE2 is not set: say where\n"},
    }));
    CAPTURE(text);
    CHECK(render(parse(text).problems) == problem);
}

TEST_CASE("a text that costs too much is refused early")
{
    CHECK(says(parse(std::string(100, '#'), {.bytes = 99}),
               "f: larger than 99 bytes; split the configuration"));
    CHECK(says(parse("a: " + std::string(10'000'00, '[')), "1000 brackets"));
    CHECK(says(parse("a: " + std::string(900, '{')), "nested more than 64 deep"));
    std::string lines;
    for (int i = 0; i < 2000; ++i)
        lines += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    CHECK(says(parse(lines), "nested more than 64 deep"));
    CHECK(says(parse("[a,b,c,d,e]", {.values = 3}), "more than 3 values"));

    std::string laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n";
    for (int i = 1; i < 20; ++i) {
        const auto before = "*a" + std::to_string(i - 1);
        const auto name = "a" + std::to_string(i);
        laughs += name + ": &" + name + " [" + before + "," + before + "," + before + "," + before + "," +
                  before + "]\n";
    }
    CHECK(says(parse(laughs), "aliases make this text too large"));

    std::string variables = "a:\n";
    for (int i = 0; i < 100; ++i)
        variables += "  - ${BIG}\n";
    CHECK(says(parse(variables), "variables make this text too large"));

    std::string twice;
    for (int i = 0; i < 5000; ++i)
        twice += "a: 1\n";
    const auto document = parse(twice);
    REQUIRE(document.problems.size() == most_problems + 1);
    CHECK(document.problems.back().text == "more than 1000 problems");
}
