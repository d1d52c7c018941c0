#include "exporters/blackbox/sheet.hpp"

#include "exporters/exposition.hpp"

namespace keepwell::blackbox {

void Sheet::set(const Gauge& gauge, std::string_view labels, double value)
{
    auto& family = families_[gauge.name];
    family.help = gauge.help;
    if (const auto found = family.samples.find(labels); found != family.samples.end())
        found->second = value;
    else
        family.samples.emplace(labels, value);
}

void Sheet::set_phase(const Gauge& gauge, std::string_view phase, double seconds)
{
    set(gauge, label("phase", phase), seconds);
}

std::string Sheet::text() const
{
    std::string text;
    text.reserve(families_.size() * 160);
    Exposition exposition{text};
    for (const auto& [name, family] : families_) {
        exposition.family(name, "gauge", family.help);
        for (const auto& [labels, value] : family.samples)
            exposition.sample(labels, value);
    }
    return text;
}

}  // namespace keepwell::blackbox
