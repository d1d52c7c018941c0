#include "daemon/docker/labels.hpp"

#include "daemon/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace keepwell::docker {

namespace {

constexpr std::string_view prefix = "keepwell.";

void set(Node& root, std::string_view path, Node value)
{
    auto& place = place_for(root, path);
    value.key = std::move(place.key);
    place = std::move(value);
}

void set_text(Node& root, std::string_view path, std::string text)
{
    set(root, path, {.kind = Node::Kind::scalar, .text = std::move(text)});
}

bool is_number(std::string_view text)
{
    return !text.empty() && text.size() < 7 && text.find_first_not_of("0123456789") == text.npos;
}

// willfarrell/docker-autoheal and qdm12/deunhealth.
void understand_others(const Container& container, Node& settings)
{
    if (container.label("autoheal") == "true" || container.label("deunhealth.restart.on.unhealthy") == "true")
        set_text(settings, "restart.mode", "act");
    if (const auto seconds = container.label("autoheal.stop.timeout"); is_number(seconds))
        set_text(settings, "restart.docker.stop_timeout", seconds + "s");
}

}  // namespace

bool is_left_alone(const Container& container)
{
    auto value = container.label("keepwell.enable");
    std::ranges::transform(value, value.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    constexpr std::array<std::string_view, 5> yes{"", "true", "yes", "on", "1"};
    return std::ranges::find(yes, value) == yes.end();
}

Node settings_of_labels(const Container& container, std::vector<std::string>& notes)
{
    Node settings{.kind = Node::Kind::mapping};
    understand_others(container, settings);
    const auto nothing = [](std::string_view) { return std::optional<std::string>{}; };
    for (const auto& [label, value] : container.labels) {
        if (!label.starts_with(prefix) || label == "keepwell.enable")
            continue;
        const auto path = std::string_view{label}.substr(prefix.size());
        auto document = parse_document(value, label, nothing);
        if (document.whole && !has_errors(document.problems) && !path.empty())
            set(settings, path, std::move(document.root));
        else
            notes.push_back(fmt::format(
                "the label {} of {} is passed over: {}", label, container.name,
                document.problems.empty() ? "it cannot be read" : document.problems.front().text));
    }
    return settings;
}

}  // namespace keepwell::docker
