#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// What a program that keepwell starts finds in its environment: keepwell's own variables without secrets and
// without what the service manager meant for keepwell alone (NOTIFY_SOCKET and its like), and `added`, which
// wins. Who wants to hand a secret on says so in `added`. Each entry is NAME=value.
std::vector<std::string> environment_for_child(const std::map<std::string, std::string>& added);

// Is this variable taken for a secret, by its name (`DB_PASSWORD`, `API_TOKEN`) or its value
// (`scheme://user:secret@host`)?
bool holds_secret(std::string_view name, std::string_view value);

// One more secret of ours: no variable whose value is this, or holds it, is passed on by default, whatever
// its name looks like. Remembered for the life of the process.
void withhold(std::string secret);

// `text` with the values of those variables in `added` that hold secrets replaced by `<secret>`: a program
// may print what it was given.
std::string without_secrets(std::string text, const std::map<std::string, std::string>& added);

// Why this cannot be a variable's name; empty when it can.
std::string name_fault(std::string_view name);

}  // namespace keepwell
