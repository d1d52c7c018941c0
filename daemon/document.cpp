#include "daemon/document.hpp"

#include "daemon/encoding.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <span>
#include <spanstream>
#include <unordered_map>

namespace keepwell {

namespace {

// Ends the reading; what is wrong is in the list already, or in here.
struct Stop {
    Mark mark{};
    std::string text{};
    std::string suggestion{};
};
struct SecondDocument {
    Mark mark{};
};

Mark at(const YAML::Mark& mark)
{
    return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

struct Translation {
    std::string_view theirs;  // how the message of yaml-cpp begins
    std::string_view text;
    std::string_view suggestion;
};
const std::array translations{
    Translation{YAML::ErrorMsg::MAP_VALUE, "\":\" is not expected here",
                "check the indentation of this line and the one above, or put text with \": \" in quotes"},
    Translation{YAML::ErrorMsg::MAP_KEY, "a key is not expected here", "check the indentation"},
    Translation{YAML::ErrorMsg::BLOCK_ENTRY, "a list item is not expected here",
                "check the indentation of the \"-\""},
    Translation{YAML::ErrorMsg::END_OF_MAP, "this does not continue the keys above",
                "indent it like them, or write it as \"key: value\""},
    Translation{YAML::ErrorMsg::END_OF_SEQ, "this does not continue the list above",
                "indent it like the other items"},
    Translation{YAML::ErrorMsg::END_OF_MAP_FLOW, "\"{\" without its \"}\"",
                "close it, or look for a missing comma"},
    Translation{YAML::ErrorMsg::END_OF_SEQ_FLOW, "\"[\" without its \"]\"",
                "close it, or look for a missing comma"},
    Translation{YAML::ErrorMsg::FLOW_END, "a closing bracket without an opening one",
                "remove it or put the text in quotes"},
    Translation{YAML::ErrorMsg::UNKNOWN_TOKEN, "no value may begin with this character",
                "put the text in quotes"},
    Translation{YAML::ErrorMsg::EOF_IN_SCALAR, "a quoted text does not end", "add the closing quote"},
    Translation{YAML::ErrorMsg::DOC_IN_SCALAR, "a quoted text does not end", "add the closing quote"},
    Translation{YAML::ErrorMsg::INVALID_ESCAPE, "no such escape in double quotes",
                "use single quotes, in which a backslash is a backslash"},
    Translation{YAML::ErrorMsg::INVALID_UNICODE, "no such character", "write a valid code point"},
    Translation{YAML::ErrorMsg::INVALID_HEX, "\\x, \\u and \\U need hexadecimal digits",
                "use single quotes for a backslash"},
    Translation{YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab in the indentation", "indent with spaces"},
    Translation{YAML::ErrorMsg::UNKNOWN_ANCHOR, "an alias of an anchor that is not defined above",
                "define it with \"&name\", or put the text in quotes if it begins with \"*\""},
    Translation{YAML::ErrorMsg::ALIAS_NOT_FOUND, "\"*\" without the name of an anchor",
                "put the text in quotes"},
    Translation{YAML::ErrorMsg::ANCHOR_NOT_FOUND, "\"&\" without the name of an anchor",
                "put the text in quotes"},
    Translation{YAML::ErrorMsg::CHAR_IN_ALIAS, "this character may not stand in the name of an anchor",
                "put the text in quotes if it begins with \"*\""},
    Translation{YAML::ErrorMsg::CHAR_IN_ANCHOR, "this character may not stand in the name of an anchor",
                "put the text in quotes if it begins with \"&\""},
    Translation{YAML::ErrorMsg::BAD_FILE, "nested too deep", "keepwell needs no more than a dozen levels"},
};

// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
public:
    Builder(std::vector<Problem>& problems, const DocumentLimits& limits)
        : problems_{problems}, limits_{limits}
    {
    }

    Node take() { return std::move(root_); }
    // Where the innermost bracket that is still open stands.
    std::optional<Mark> open_bracket() const
    {
        const auto bracket = std::ranges::find(open_.rbegin(), open_.rend(), true, &Open::in_brackets);
        return bracket != open_.rend() ? std::optional{bracket->node.mark} : std::nullopt;
    }
    std::optional<Mark> last_quoted() const { return last_quoted_; }

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (documents_++ > 0)
            throw SecondDocument{at(mark)};
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { close({.mark = at(mark)}, anchor); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        check_tag(at(mark), tag);
        if (tag == "!")
            last_quoted_ = at(mark);
        close({.kind = Node::Kind::scalar, .quoted = tag != "?", .mark = at(mark), .text = value}, anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value style) override
    {
        open({.kind = Node::Kind::sequence, .mark = at(mark)}, style, tag, anchor);
    }
    void OnSequenceEnd() override { close_collection(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value style) override
    {
        open({.kind = Node::Kind::mapping, .mark = at(mark)}, style, tag, anchor);
    }
    void OnMapEnd() override { close_collection(); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const auto known = anchors_.find(anchor);
        if (known == anchors_.end())
            throw Stop{at(mark), "an alias inside of what it stands for", "name another anchor"};
        auto node = copy(known->second);
        node.mark = node.children.empty() ? at(mark) : node.mark;
        close(std::move(node), YAML::NullAnchor);
    }

private:
    struct Open {
        Node node{};
        YAML::anchor_t anchor = YAML::NullAnchor;
        bool in_brackets = false;
        bool has_key = false;  // of a mapping: the next node is the value of `key`
        Node key{};
    };

    void complain(Mark mark, std::string text, std::string suggestion);
    void check_tag(Mark mark, const std::string& tag);
    void count(Mark mark);
    Node copy(const Node& node);
    void open(Node node, YAML::EmitterStyle::value style, const std::string& tag, YAML::anchor_t anchor);
    void close(Node node, YAML::anchor_t anchor);
    void close_collection();
    void take_key(Open& mapping, Node key);
    void finish_mapping(Node& mapping);
    void merge(Node& mapping, std::unordered_map<std::string, Mark>& names, Node& source);

    std::vector<Problem>& problems_;
    const DocumentLimits& limits_;
    Node root_{};
    std::vector<Open> open_{};
    std::unordered_map<YAML::anchor_t, Node> anchors_{};
    std::optional<Mark> last_quoted_{};
    std::size_t documents_ = 0;
    std::size_t values_ = 0;
    std::size_t copied_ = 0;
};

void Builder::complain(Mark mark, std::string text, std::string suggestion)
{
    if (problems_.size() >= most_problems)
        throw Stop{mark, fmt::format("more than {} problems", most_problems), "only the first ones are told"};
    problems_.push_back({.mark = mark, .text = std::move(text), .suggestion = std::move(suggestion)});
}

void Builder::check_tag(Mark mark, const std::string& tag)
{
    if (tag.empty() || tag == "!" || tag == "?" || tag.starts_with("tag:yaml.org,2002:"))
        return;
    complain(mark, "the tag " + shown(tag) + " is not supported", "remove it, or put the text in quotes");
}

void Builder::count(Mark mark)
{
    if (++values_ > limits_.values)
        throw Stop{mark, fmt::format("more than {} values", limits_.values), "split the configuration"};
}

Node Builder::copy(const Node& node)
{
    copied_ += sizeof(Node) + node.text.size() + node.key.size();
    if (copied_ > limits_.copied_bytes)
        throw Stop{node.mark, "aliases make this text too large", "repeat less"};
    Node made{.kind = node.kind,
              .quoted = node.quoted,
              .mark = node.mark,
              .key_mark = node.key_mark,
              .key = node.key,
              .text = node.text};
    made.children.reserve(node.children.size());
    for (const auto& child : node.children)
        made.children.push_back(copy(child));
    return made;
}

void Builder::open(Node node, YAML::EmitterStyle::value style, const std::string& tag, YAML::anchor_t anchor)
{
    check_tag(node.mark, tag);
    if (open_.size() >= limits_.depth)
        throw Stop{node.mark, fmt::format("nested more than {} deep", limits_.depth),
                   "keepwell needs no more than a dozen levels"};
    open_.push_back(
        {.node = std::move(node), .anchor = anchor, .in_brackets = style == YAML::EmitterStyle::Flow});
}

void Builder::close_collection()
{
    auto done = std::move(open_.back());
    open_.pop_back();
    if (done.node.is_mapping())
        finish_mapping(done.node);
    close(std::move(done.node), done.anchor);
}

// Puts a finished node where it belongs.
void Builder::close(Node node, YAML::anchor_t anchor)
{
    count(node.mark);
    if (anchor != YAML::NullAnchor)
        anchors_.insert_or_assign(anchor, copy(node));
    if (open_.empty()) {
        root_ = std::move(node);
        return;
    }
    auto& parent = open_.back();
    if (parent.node.is_mapping() && !parent.has_key)
        return take_key(parent, std::move(node));
    if (parent.node.is_mapping()) {
        node.key_mark = parent.key.mark;
        node.key = std::move(parent.key.text);
        parent.has_key = false;
    } else {
        node.key_mark = {};
        node.key.clear();
    }
    parent.node.children.push_back(std::move(node));
}

void Builder::take_key(Open& mapping, Node key)
{
    if (!key.is_scalar()) {
        complain(key.mark, "a key must be a word, found " + found(key), "write \"key: value\"");
        key = {.kind = Node::Kind::scalar, .mark = key.mark};
    }
    mapping.key = std::move(key);
    mapping.has_key = true;
}

void Builder::finish_mapping(Node& mapping)
{
    auto own = std::move(mapping.children);
    mapping.children = {};
    std::vector<Node> merges;
    std::unordered_map<std::string, Mark> names;
    for (auto& child : own) {
        const auto [first, is_new] = names.try_emplace(child.key, child.key_mark);
        if (!is_new)
            complain(child.key_mark, "the key " + shown(child.key) + " is here twice",
                     fmt::format("the first one is in line {}", first->second.line));
        else if (child.key == "<<")
            merges.push_back(std::move(child));
        else
            mapping.children.push_back(std::move(child));
    }
    for (auto& merge : merges) {
        if (!merge.is_sequence()) {
            this->merge(mapping, names, merge);
            continue;
        }
        for (auto& source : merge.children)
            this->merge(mapping, names, source);
    }
}

// `<<: *defaults`: takes over what the mapping does not say itself.
void Builder::merge(Node& mapping, std::unordered_map<std::string, Mark>& names, Node& source)
{
    if (!source.is_mapping())
        return complain(source.mark, "\"<<\" merges mappings, found " + found(source),
                        "write \"<<: *anchor\"");
    for (auto& child : source.children)
        if (names.try_emplace(child.key, child.key_mark).second)
            mapping.children.push_back(std::move(child));
}

// The text as lines, to look again at a place that the parser complained about.
class Lines {
public:
    explicit Lines(std::string_view text) : text_{text} {}

    std::string_view line(std::uint32_t number) const
    {
        auto rest = text_;
        for (std::uint32_t i = 1; i < number && !rest.empty(); ++i)
            rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
        return rest.substr(0, rest.find('\n'));
    }
    // Everything from a place on.
    std::string_view from(Mark mark) const
    {
        const auto start = line(mark.line);
        if (mark.column > start.size())
            return {};
        return text_.substr(static_cast<std::size_t>(start.data() - text_.data()) + mark.column - 1);
    }

private:
    std::string_view text_;
};

// yaml-cpp takes the end of the text for a closing quote.
bool is_unclosed_quote(std::string_view text)
{
    if (!text.starts_with('"') && !text.starts_with('\''))
        return false;
    const char quote = text[0];
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\')
            ++i;
        else if (text[i] == quote && quote == '\'' && text.substr(i + 1).starts_with('\''))
            ++i;
        else if (text[i] == quote)
            return false;
    }
    return true;
}

// The place of a tab in the indentation of this line, which explains most complaints about it.
std::optional<Mark> indenting_tab(const Lines& lines, std::uint32_t number)
{
    const auto line = lines.line(number);
    const auto blank = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
    const auto tab = blank.find('\t');
    if (tab == blank.npos)
        return std::nullopt;
    return Mark{number, static_cast<std::uint32_t>(tab + 1)};
}

Problem translated(const YAML::Exception& error, const Builder& builder, const Lines& lines)
{
    const auto mark = at(error.mark);
    for (const auto number : {mark.line, mark.line - 1})
        if (const auto tab = number > 0 ? indenting_tab(lines, number) : std::nullopt)
            return {.mark = *tab, .text = "a tab in the indentation", .suggestion = "indent with spaces"};
    if (const auto quote = builder.last_quoted(); quote && is_unclosed_quote(lines.from(*quote)))
        return {.mark = *quote, .text = "a quoted text does not end", .suggestion = "add the closing quote"};
    for (const auto& each : translations) {
        if (!error.msg.starts_with(each.theirs))
            continue;
        Problem problem{
            .mark = mark, .text = std::string{each.text}, .suggestion = std::string{each.suggestion}};
        if (each.theirs == YAML::ErrorMsg::END_OF_MAP_FLOW ||
            each.theirs == YAML::ErrorMsg::END_OF_SEQ_FLOW) {
            problem.mark = builder.open_bracket().value_or(mark);
            if (lines.line(mark.line).contains("${"))
                problem.suggestion = "put ${...} inside of brackets in quotes";
        }
        return problem;
    }
    return {.mark = mark, .text = "this is not YAML: " + error.msg};
}

// Fills in the root of the text; a syntax error is added to the problems.
void build(std::string_view text, const DocumentLimits& limits, Document& document)
{
    auto& problems = document.problems;
    Builder builder{problems, limits};
    const Lines lines{text};
    try {
        std::ispanstream stream{std::span{text.data(), text.size()}};
        YAML::Parser parser{stream};
        while (parser.HandleNextDocument(builder)) {
        }
        if (const auto quote = builder.last_quoted(); quote && is_unclosed_quote(lines.from(*quote)))
            throw Stop{*quote, "a quoted text does not end", "add the closing quote"};
        document.root = builder.take();
        document.whole = true;
    } catch (const Stop& stop) {
        problems.push_back({.mark = stop.mark, .text = stop.text, .suggestion = stop.suggestion});
    } catch (const SecondDocument& second) {
        const bool marked = lines.line(second.mark.line).starts_with("---");
        problems.push_back(
            {.mark = second.mark,
             .text = marked ? "a second document begins here" : "this does not continue what stands above",
             .suggestion = marked ? "keep one document per file" : "check the indentation"});
    } catch (const YAML::Exception& error) {
        problems.push_back(translated(error, builder, lines));
    }
}

}  // namespace

Document parse_document(std::string_view text, std::string_view file, const Variables& variables,
                        const DocumentLimits& limits)
{
    Document document;
    if (text.size() > limits.bytes)
        document.problems.push_back({.text = fmt::format("larger than {} bytes", limits.bytes),
                                     .suggestion = "split the configuration"});
    else if (auto fault = unreadable(text))
        document.problems.push_back(*std::move(fault));
    else
        build(text, limits, document);
    if (document.whole && variables)
        expand_all(document.root, variables, limits.copied_bytes, document.problems);
    for (auto& problem : document.problems)
        problem.file = file;
    return document;
}

}  // namespace keepwell
