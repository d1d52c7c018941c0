#pragma once

#include "probes/file_stamp.hpp"

#include <boost/asio/ip/address.hpp>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace keepwell {

namespace asio = boost::asio;

// The names of a hosts(5) file, kept in memory and read again when the file has changed. An unreadable file
// is an empty one; a line that is no entry is skipped.
class HostsFile {
public:
    using Names = std::unordered_map<std::string, std::vector<asio::ip::address>>;

    explicit HostsFile(std::string path) : path_{std::move(path)} {}

    void refresh();  // one stat(2), and the whole file when it is another one than before

    // The addresses of `name` (in lower case) in the order of the file; none when it is not there.
    const std::vector<asio::ip::address>& find(const std::string& name) const;

    static Names parse(std::string_view text);

private:
    std::string path_;
    FileStamp stamp_{};
    Names names_{};
};

std::string lower_case(std::string_view text);  // ASCII only, as DNS compares names

}  // namespace keepwell
