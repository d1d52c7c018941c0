#pragma once

#include "daemon/compose/shell.hpp"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell::compose {

// How a program reads its options, as getopt_long(3) has it: `letters` are those that take a value; `names`
// are long options that take one, each with the letter that stands for it here. What is in neither is a flag.
struct Grammar {
    std::string_view letters{};
    std::span<const std::pair<std::string_view, char>> names{};
    std::span<const std::pair<std::string_view, char>> flags{};  // long ones without a value
    std::string_view glued{};  // letters whose value, if any, is in the same word (`-psecret`)
};

// The options and the other words of a command (without its name).
class Options {
public:
    Options(std::span<const Word> words, const Grammar& grammar);

    bool has(char letter) const { return find(letter) != nullptr; }
    const Word* find(char letter) const;  // of several, the last one
    std::string text(char letter, std::string_view otherwise = {}) const;
    std::vector<Word> all(char letter) const;
    std::span<const Word> operands() const { return operands_; }

private:
    void read_long(const Word& word, std::span<const Word> words, std::size_t& at, const Grammar& grammar);
    void read_short(const Word& word, std::span<const Word> words, std::size_t& at, const Grammar& grammar);

    std::vector<std::pair<char, Word>> given_;
    std::vector<Word> operands_;
};

}  // namespace keepwell::compose
