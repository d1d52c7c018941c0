#include "exporters/blackbox/sheet.hpp"

#include "exporters/exposition.hpp"

#include <algorithm>
#include <tuple>

namespace keepwell::blackbox {

namespace {

constexpr std::size_t usual_samples = 32;
constexpr std::size_t usual_bytes = 160;  // of one, with its HELP and TYPE

}  // namespace

void Sheet::set(const Gauge& gauge, std::string_view labels, double value)
{
    if (samples_.empty())
        samples_.reserve(usual_samples);
    for (auto& each : samples_)
        if (each.gauge.name == gauge.name && each.labels == labels) {
            each.value = value;
            return;
        }
    samples_.push_back({gauge, std::string{labels}, value});
}

void Sheet::set_phase(const Gauge& gauge, std::string_view phase, double seconds)
{
    set(gauge, label("phase", phase), seconds);
}

std::string Sheet::text() const
{
    std::vector<const Sample*> sorted;
    sorted.reserve(samples_.size());
    for (const auto& each : samples_)
        sorted.push_back(&each);
    std::ranges::sort(sorted, {}, [](const auto* each) { return std::tie(each->gauge.name, each->labels); });
    std::string text;
    text.reserve(samples_.size() * usual_bytes);
    Exposition exposition{text};
    std::string_view before;
    for (const auto* each : sorted) {
        if (each->gauge.name != before)
            exposition.family(each->gauge.name, "gauge", each->gauge.help);
        before = each->gauge.name;
        exposition.sample(each->labels, each->value);
    }
    return text;
}

}  // namespace keepwell::blackbox
