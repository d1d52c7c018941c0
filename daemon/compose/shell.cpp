#include "daemon/compose/shell.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace keepwell::compose {

namespace {

struct Token {
    enum class Kind : std::uint8_t { word, both, either, pipe, end_of_command, redirection };
    Kind kind = Kind::word;
    Word word{};
};

// Thrown within this file: the line does what no probe can do.
struct TooClever {
    std::string words;
};

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Lexer {
public:
    Lexer(std::string_view line, const Variables& variables) : line_{line}, variables_{variables} {}

    std::vector<Token> tokens()
    {
        std::vector<Token> all;
        for (skip_blanks(); at_ < line_.size(); skip_blanks())
            all.push_back(next());
        return all;
    }

private:
    bool looking_at(std::string_view text) const { return line_.substr(at_).starts_with(text); }
    bool take(std::string_view text)
    {
        if (!looking_at(text))
            return false;
        at_ += text.size();
        return true;
    }
    void skip_blanks()
    {
        while (at_ < line_.size() && (is_blank(line_[at_]) || looking_at("\\\n")))
            ++at_;
    }

    Token next()
    {
        using enum Token::Kind;
        if (take("&&"))
            return {both};
        if (take("||"))
            return {either};
        if (take("|"))
            return {pipe};
        if (take(";"))
            return {end_of_command};
        if (auto target = redirected())
            return {redirection, *std::move(target)};
        if (looking_at("&") || looking_at("(") || looking_at(")"))
            throw TooClever{"runs something in the background or in a subshell"};
        return {word, read_word()};
    }

    // `>file`, `2>&1`, `&>file`, `<file`: with its target, which may be a word of its own.
    std::optional<Word> redirected()
    {
        auto end = at_;
        while (end < line_.size() && std::isdigit(static_cast<unsigned char>(line_[end])))
            ++end;
        if (line_.substr(end).starts_with("&>"))
            ++end;
        if (end == line_.size() || (line_[end] != '>' && line_[end] != '<'))
            return std::nullopt;
        at_ = line_.find_first_not_of("<>&", end);
        if (at_ == line_.npos)
            throw TooClever{"redirects to nowhere"};
        skip_blanks();
        return read_word();
    }

    Word read_word()
    {
        Word word;
        const auto begin = at_;
        while (at_ < line_.size() && !is_blank(line_[at_]) &&
               !std::string_view{"&|;<>()"}.contains(line_[at_]))
            read_piece(word);
        if (!word.substitution.empty() && (substitutions_ > 1 || !word.text.empty()))
            throw TooClever{"puts a word together from another command's output"};
        substitutions_ = 0;
        if (at_ == begin)
            throw TooClever{"is no command of sh(1)"};
        return word;
    }

    void read_piece(Word& word)
    {
        const char c = line_[at_];
        if (c == '\'') {
            const auto end = line_.find('\'', at_ + 1);
            if (end == line_.npos)
                throw TooClever{"has a quote without its end"};
            word.text += line_.substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
        } else if (c == '"') {
            for (++at_; at_ < line_.size() && line_[at_] != '"';)
                read_character(word, true);
            if (at_ == line_.size())
                throw TooClever{"has a quote without its end"};
            ++at_;
        } else
            read_character(word, false);
    }

    void read_character(Word& word, bool quoted)
    {
        if (line_[at_] == '\\' && at_ + 1 < line_.size()) {
            const char escaped = line_[at_ + 1];
            if (quoted && !std::string_view{"\\\"$`"}.contains(escaped))
                word.text += '\\';
            word.text += escaped;
            at_ += 2;
        } else if (line_[at_] == '`' || looking_at("$("))
            substitute(word);
        else if (line_[at_] == '$')
            expand_variable(word);
        else
            word.text += line_[at_++];
    }

    void substitute(Word& word)
    {
        const bool ticks = line_[at_] == '`';
        at_ += ticks ? 1 : 2;
        const auto begin = at_;
        for (int depth = 1; at_ < line_.size(); ++at_) {
            const char c = line_[at_];
            depth += ticks ? (c == '`' ? -1 : 0) : (c == '(' ? 1 : c == ')' ? -1 : 0);
            if (depth == 0) {
                word.substitution = line_.substr(begin, at_ - begin);
                ++substitutions_;
                ++at_;
                return;
            }
        }
        throw TooClever{"has a command substitution without its end"};
    }

    void expand_variable(Word& word)
    {
        auto end = at_ + 1;
        if (end < line_.size() && line_[end] == '{') {
            end = line_.find('}', end);
            if (end == line_.npos)
                throw TooClever{"has a brace without its end"};
            ++end;
            const auto inside = line_.substr(at_ + 2, end - at_ - 3);
            word.variable = inside.substr(0, std::ranges::find_if_not(inside, is_name) - inside.begin());
            auto value = expand(line_.substr(at_, end - at_),
                                [this](std::string_view name) { return value_of(name); });
            if (!value)
                throw TooClever{"uses a variable in a way that only a shell understands"};
            word.text += *value;
        } else {
            while (end < line_.size() && is_name(line_[end]))
                ++end;
            if (end == at_ + 1)
                word.text += '$';
            else {
                word.variable = line_.substr(at_ + 1, end - at_ - 1);
                word.text += value_of(word.variable);
            }
        }
        at_ = end;
    }

    std::string value_of(std::string_view name) const { return variables_(name).value_or(""); }

    std::string_view line_;
    const Variables& variables_;
    std::size_t at_ = 0;
    int substitutions_ = 0;
};

bool is_word(const std::vector<Word>& words, std::string_view text)
{
    return !words.empty() && words.front().text == text;
}

// `exit 1`, `false`: a failure that the command before it has had already.
bool only_fails(const std::vector<Word>& words)
{
    return is_word(words, "exit") || is_word(words, "false") || is_word(words, "kill") ||
           is_word(words, "return");
}

// `timeout 5 cmd`, `exec cmd`, `VAR=x cmd`: the same command.
void strip_prefixes(std::vector<Word>& words)
{
    for (;;) {
        if (is_word(words, "exec") || is_word(words, "command") || is_word(words, "sudo"))
            words.erase(words.begin());
        else if (is_word(words, "timeout") && words.size() > 2) {
            words.erase(words.begin());
            while (!words.empty() && words.front().text.starts_with('-'))
                words.erase(words.begin());
            if (!words.empty())
                words.erase(words.begin());
        } else
            return;
    }
}

// A basic regular expression of grep(1) in RE2's words: these are plain characters there, unless escaped.
std::string extended(std::string_view basic)
{
    constexpr std::string_view plain = "+?(){}|";
    std::string text;
    for (std::size_t i = 0; i < basic.size(); ++i) {
        const bool escaped = basic[i] == '\\' && i + 1 < basic.size();
        const char c = basic[escaped ? ++i : i];
        if (escaped != plain.contains(c))
            text += '\\';
        text += c;
    }
    return text;
}

// The pattern of a `grep`, as RE2; nothing when it asks for what a regular expression cannot say.
std::optional<Word> pattern_of(const std::vector<Word>& words)
{
    if (!is_word(words, "grep") && !is_word(words, "egrep"))
        return std::nullopt;
    std::optional<Word> pattern;
    std::string flags{is_word(words, "egrep") ? "E" : ""};
    for (const auto& word : std::span{words}.subspan(1)) {
        if (word.text.starts_with('-') && word.text.size() > 1)
            flags += word.text.substr(1);
        else if (pattern)
            return std::nullopt;  // a file to look into
        else
            pattern = word;
    }
    const auto has = [&](char flag) { return flags.contains(flag); };
    if (!pattern || has('v') || has('c') || has('x') || has('F') || has('P'))
        return std::nullopt;
    if (!has('E'))
        pattern->text = extended(pattern->text);
    if (has('i'))
        pattern->text = "(?i)" + pattern->text;
    return pattern;
}

class Parser {
public:
    explicit Parser(std::vector<Token> tokens) : tokens_{std::move(tokens)} {}

    Script script()
    {
        Script script;
        do {
            Alternatives alternatives;
            do {
                auto command = read_command();
                if (!alternatives.empty() && only_fails(command.words))
                    continue;
                alternatives.push_back(std::move(command));
            } while (take(Token::Kind::either));
            script.push_back(std::move(alternatives));
        } while (take(Token::Kind::both));
        while (take(Token::Kind::end_of_command))
            if (at_ < tokens_.size() && tokens_[at_].kind == Token::Kind::word)
                throw TooClever{"runs several commands, of which only the last one counts"};
        if (at_ < tokens_.size())
            throw TooClever{"is no command of sh(1)"};
        return script;
    }

private:
    bool take(Token::Kind kind)
    {
        if (at_ == tokens_.size() || tokens_[at_].kind != kind)
            return false;
        ++at_;
        return true;
    }

    // The words up to the next operator; redirections are left out, but for where the last one leads.
    std::vector<Word> read_words(std::string& opened)
    {
        std::vector<Word> words;
        for (; at_ < tokens_.size(); ++at_)
            if (tokens_[at_].kind == Token::Kind::word)
                words.push_back(tokens_[at_].word);
            else if (tokens_[at_].kind == Token::Kind::redirection)
                opened = tokens_[at_].word.text;
            else
                break;
        return words;
    }

    Command read_command()
    {
        Command command;
        command.words = read_words(command.opened);
        strip_prefixes(command.words);
        constexpr std::array scripts{"if", "while", "for", "case", "until", "{", "!", "set", "."};
        if (command.words.empty() && command.opened.empty())
            throw TooClever{"has an empty command"};
        if (!command.words.empty() && std::ranges::find(scripts, command.words.front().text) != scripts.end())
            throw TooClever{"is a script of the shell"};
        while (take(Token::Kind::pipe)) {
            std::string ignored;
            auto pattern = pattern_of(read_words(ignored));
            if (!pattern)
                throw TooClever{"passes output on to another program"};
            command.filters.push_back(*std::move(pattern));
        }
        return command;
    }

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
};

}  // namespace

std::expected<Script, std::string> parse_shell(std::string_view line, const Variables& variables)
{
    try {
        return Parser{Lexer{line, variables}.tokens()}.script();
    } catch (const TooClever& problem) {
        return std::unexpected{problem.words};
    }
}

Script script_of(std::span<const std::string> argv)
{
    Command command;
    for (const auto& word : argv)
        command.words.push_back({.text = word});
    strip_prefixes(command.words);
    return {{std::move(command)}};
}

}  // namespace keepwell::compose
