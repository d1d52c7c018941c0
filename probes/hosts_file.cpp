#include "probes/hosts_file.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace keepwell {

namespace {

constexpr std::string_view blanks = " \t\r\f\v";

// Cuts the next word off the front of `line`; empty at its end.
std::string_view next_word(std::string_view& line)
{
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    const auto word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

}  // namespace

std::string lower_case(std::string_view text)
{
    std::string lower{text};
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

HostsFile::Names HostsFile::parse(std::string_view text)
{
    Names names;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        line = line.substr(0, line.find('#'));
        boost::system::error_code not_numeric;
        const auto address = asio::ip::make_address(std::string{next_word(line)}, not_numeric);
        if (not_numeric)
            continue;
        for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
            auto& addresses = names[lower_case(word)];
            if (std::ranges::find(addresses, address) == addresses.end())
                addresses.push_back(address);
        }
    }
    return names;
}

void HostsFile::refresh()
{
    const auto stamp = FileStamp::of(path_);
    if (stamp == stamp_)
        return;
    stamp_ = stamp;
    std::ifstream file{path_, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    names_ = parse(text);
}

const std::vector<asio::ip::address>& HostsFile::find(const std::string& name) const
{
    static const std::vector<asio::ip::address> none;
    const auto found = names_.find(name);
    return found == names_.end() ? none : found->second;
}

}  // namespace keepwell
