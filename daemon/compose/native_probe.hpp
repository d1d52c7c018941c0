#pragma once

#include <string>
#include <vector>

namespace keepwell::compose {

// One key of a probe, as it stands in the configuration.
struct Setting {
    std::string key{};
    std::string value{};
    std::string variable{};  // the container's variable whose value it is; empty: it was written out
    bool secret = false;     // the value is not to be shown or written down
    bool operator==(const Setting&) const = default;
};

// A probe of ours, in the words of the configuration: what make_probe() takes, and what `import` writes.
struct NativeProbe {
    std::string kind{};
    std::string target{};  // value of the kind's first key
    std::vector<Setting> settings{};
    bool operator==(const NativeProbe&) const = default;
};

}  // namespace keepwell::compose
