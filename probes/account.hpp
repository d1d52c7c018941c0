#pragma once

#include "probes/probe.hpp"

#include <string>
#include <vector>

namespace keepwell {

// As whom a program runs: `name` or `uid`, either with `:group` or `:gid`.
struct Account {
    unsigned uid = 0;
    unsigned gid = 0;
    std::string name{};  // empty when the uid has no entry in the user database
    std::string home{};
};

// Looks the user up, as the name service switch says. Throws Failure (bad_configuration) when there is none.
Account find_account(const std::string& user);

// The words to put before a program's argv to run it as `account`: setpriv(1) and its options, or nothing
// when we are that user already. Throws Failure (permission_denied) when only root could.
std::vector<std::string> words_to_become(const Account& account);

// Why this cannot name a user; empty when it can. Looks nobody up.
std::string user_fault(const std::string& user);

}  // namespace keepwell
