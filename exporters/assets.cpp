#include "exporters/assets.hpp"

#include <algorithm>

namespace keepwell {

std::string_view Asset::type() const
{
    return name.ends_with(".css")   ? "text/css; charset=utf-8"
           : name.ends_with(".js")  ? "text/javascript; charset=utf-8"
           : name.ends_with(".svg") ? "image/svg+xml"
                                    : "text/html; charset=utf-8";
}

std::string Asset::url() const { return "/page/" + std::string{name} + "?v=" + std::string{tag}; }

const Asset* find_asset(std::string_view name)
{
    const auto found = std::ranges::find(assets(), name, &Asset::name);
    return found == assets().end() ? nullptr : &*found;
}

}  // namespace keepwell
