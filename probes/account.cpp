#include "probes/account.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <optional>

namespace keepwell {

namespace {

std::optional<unsigned> as_number(std::string_view text)
{
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

[[noreturn]] void unknown(std::string_view what, const std::string& name)
{
    throw Failure{
        not_attempted(Reason::bad_configuration, "there is no " + std::string{what} + " \"" + name + "\"")};
}

unsigned find_group(const std::string& group)
{
    if (const auto gid = as_number(group))
        return *gid;
    ::group entry{};
    ::group* found = nullptr;
    std::vector<char> buffer(65536);  // a group may have many members
    ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (!found)
        unknown("group", group);
    return found->gr_gid;
}

}  // namespace

std::string user_fault(const std::string& user)
{
    const auto colon = user.find(':');
    if (colon == 0 || colon + 1 == user.size() || user.find(':', colon + 1) != user.npos)
        return "\"" + user + "\" is no user: expected `name`, `uid`, `name:group` or `uid:gid`";
    return {};
}

Account find_account(const std::string& user)
{
    const auto colon = user.find(':');
    const auto name = user.substr(0, colon);
    const auto uid = as_number(name);

    ::passwd entry{};
    ::passwd* found = nullptr;
    std::vector<char> buffer(16384);
    if (uid)
        ::getpwuid_r(*uid, &entry, buffer.data(), buffer.size(), &found);
    else
        ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (!found && !uid)
        unknown("user", name);

    Account account;
    if (found)
        account = {.uid = found->pw_uid, .gid = found->pw_gid, .name = found->pw_name, .home = found->pw_dir};
    else
        account = {.uid = *uid, .gid = *uid};  // the user of a container need not be known outside
    if (colon != user.npos)
        account.gid = find_group(user.substr(colon + 1));
    return account;
}

std::vector<std::string> words_to_become(const Account& account)
{
    if (::geteuid() == account.uid && ::getegid() == account.gid)
        return {};
    if (::geteuid() != 0)
        throw Failure{not_attempted(Reason::permission_denied,
                                    "to run a program as user " + std::to_string(account.uid) +
                                        " keepwell must run as root; it runs as user " +
                                        std::to_string(::geteuid()))};
    return {"setpriv", "--reuid=" + std::to_string(account.uid), "--regid=" + std::to_string(account.gid),
            account.name.empty() ? "--clear-groups" : "--init-groups", "--"};
}

}  // namespace keepwell
