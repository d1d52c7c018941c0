#include "daemon/compose/options.hpp"

#include <algorithm>

namespace keepwell::compose {

Options::Options(std::span<const Word> words, const Grammar& grammar)
{
    for (std::size_t at = 0; at < words.size(); ++at) {
        const auto& word = words[at];
        if (word.text == "--") {
            operands_.insert(operands_.end(), words.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                             words.end());
            return;
        }
        if (word.text.starts_with("--"))
            read_long(word, words, at, grammar);
        else if (word.text.starts_with('-') && word.text.size() > 1)
            read_short(word, words, at, grammar);
        else
            operands_.push_back(word);
    }
}

void Options::read_long(const Word& word, std::span<const Word> words, std::size_t& at,
                        const Grammar& grammar)
{
    const auto equals = word.text.find('=');
    const auto name = std::string_view{word.text}.substr(2, equals == word.text.npos ? equals : equals - 2);
    const auto known = std::ranges::find(grammar.names, name, &std::pair<std::string_view, char>::first);
    const auto flag = std::ranges::find(grammar.flags, name, &std::pair<std::string_view, char>::first);
    if (flag != grammar.flags.end())
        given_.emplace_back(flag->second, Word{});
    else if (known == grammar.names.end())
        return;
    else if (equals != word.text.npos)
        given_.emplace_back(known->second, Word{word.text.substr(equals + 1), word.variable, {}});
    else if (at + 1 < words.size() && !grammar.glued.contains(known->second))
        given_.emplace_back(known->second, words[++at]);
}

void Options::read_short(const Word& word, std::span<const Word> words, std::size_t& at,
                         const Grammar& grammar)
{
    for (std::size_t i = 1; i < word.text.size(); ++i) {
        const char letter = word.text[i];
        const auto rest = word.text.substr(i + 1);
        if (grammar.glued.contains(letter)) {
            given_.emplace_back(letter, Word{rest, word.variable, {}});
            return;
        }
        if (grammar.letters.contains(letter)) {
            if (!rest.empty())
                given_.emplace_back(letter, Word{rest, word.variable, {}});
            else if (at + 1 < words.size())
                given_.emplace_back(letter, words[++at]);
            return;
        }
        given_.emplace_back(letter, Word{});
    }
}

const Word* Options::find(char letter) const
{
    const auto found =
        std::find_if(given_.rbegin(), given_.rend(), [&](const auto& each) { return each.first == letter; });
    return found == given_.rend() ? nullptr : &found->second;
}

std::string Options::text(char letter, std::string_view otherwise) const
{
    const auto* word = find(letter);
    return word ? word->text : std::string{otherwise};
}

std::vector<Word> Options::all(char letter) const
{
    std::vector<Word> words;
    for (const auto& [key, word] : given_)
        if (key == letter)
            words.push_back(word);
    return words;
}

}  // namespace keepwell::compose
