#include "probes/own_container.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <ranges>
#include <vector>

namespace keepwell {

namespace {

constexpr std::size_t whole_id = 64;
constexpr std::size_t short_id = 12;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// The last run of exactly 64 hexadecimal digits: inside another container's there are several.
std::optional<std::string> id_in(std::string_view path)
{
    std::optional<std::string> found;
    while (!path.empty()) {
        const auto end = std::ranges::find_if_not(path, is_hex);
        const auto length = static_cast<std::size_t>(end - path.begin());
        if (length == whole_id)
            found = path.substr(0, length);
        path.remove_prefix(std::min(length + 1, path.size()));
    }
    return found;
}

std::vector<std::string_view> split(std::string_view text, char by)
{
    std::vector<std::string_view> parts;
    for (const auto part : std::views::split(text, by))
        parts.emplace_back(part.begin(), part.end());
    return parts;
}

std::optional<std::string> id_of_mounts(std::string_view mounts)
{
    constexpr std::array<std::string_view, 3> of_docker{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
    for (const auto line : split(mounts, '\n')) {
        const auto parts = split(line, ' ');
        if (parts.size() > 4 && std::ranges::find(of_docker, parts[4]) != of_docker.end())
            if (auto id = id_in(parts[3]))
                return id;
    }
    return std::nullopt;
}

std::string text_of(const char* path)
{
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

std::optional<std::string> container_id_in(std::string_view cgroup, std::string_view mounts,
                                           std::string_view host_name)
{
    if (auto id = id_in(cgroup))
        return id;
    if (auto id = id_of_mounts(mounts))
        return id;
    if (host_name.size() == short_id && std::ranges::all_of(host_name, is_hex))
        return std::string{host_name};
    return std::nullopt;
}

std::string upper_directory_in(std::string_view mounts)
{
    constexpr std::string_view key = "upperdir=";
    for (const auto line : split(mounts, '\n')) {
        const auto parts = split(line, ' ');
        if (parts.size() < 5 || parts[4] != "/" || !line.contains(" - overlay "))
            continue;
        for (const auto option : split(parts.back(), ','))
            if (option.starts_with(key))
                return std::string{option.substr(key.size())};
    }
    return {};
}

std::optional<std::string> own_container_id()
{
    const char* host_name = std::getenv("HOSTNAME");
    return container_id_in(text_of("/proc/self/cgroup"), text_of("/proc/self/mountinfo"),
                           host_name ? host_name : "");
}

std::string own_upper_directory() { return upper_directory_in(text_of("/proc/self/mountinfo")); }

}  // namespace keepwell
