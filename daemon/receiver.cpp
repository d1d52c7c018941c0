#include "daemon/receiver.hpp"

#include "probes/http_field.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace keepwell {

namespace {

// As Prometheus has them: letters, digits and underscores, no digit first.
bool is_label_name(std::string_view name)
{
    return !name.empty() && (name.front() < '0' || name.front() > '9') &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

std::string lower(std::string_view text)
{
    std::string result{text};
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return result;
}

// Headers that a webhook's POST has already.
bool is_ours(std::string_view name)
{
    const auto known = lower(name);
    return known.starts_with("x-keepwell-") || known == "content-type" || known == "content-length" ||
           known == "transfer-encoding" || known == "host";
}

// In the order of WebhookFormat. Whoever reads these must not be called by what a server said: Slack has its
// commands between < and >, Discord mentions unless told otherwise.
struct Preset {
    std::string_view content_type{};
    std::string_view body{};
    std::vector<std::pair<std::string, std::string_view>> headers{};
};
const Preset& preset_of(WebhookFormat format)
{
    static const std::array<Preset, 5> presets{{
        {"application/json", "", {}},
        {"application/json",
         R"({"text": "*{{ title | html }}*\n{{ text | limit 2500 | html }}\n{{ url | html }}"})",
         {}},
        {"application/json",
         R"({"content": "**{{ title | limit 200 }}**\n{{ text | limit 1500 }}\n{{ url }}", )"
         R"("allowed_mentions": {"parse": []}})",
         {}},
        {"text/plain; charset=utf-8",
         "{{ text | limit 3000 }}",
         {{"Title", "{{ title | limit 200 }}"},
          {"Priority", "{{ priority }}"},
          {"Tags", "{{ severity }},{{ status }}"},
          {"Click", "{{ url }}"},
          {"Authorization", "Bearer {{ token }}"}}},
        {"application/json",
         R"({"title": "{{ title | limit 200 }}", "message": "{{ text | limit 3000 }}\n{{ url }}", )"
         R"("priority": {{ priority }}})",
         {{"X-Gotify-Key", "{{ token }}"}}},
    }};
    return presets[static_cast<std::size_t>(format)];
}

Escape escape_for(std::string_view content_type)
{
    const auto type = lower(content_type);
    return type.contains("json")                                ? Escape::json
           : type.contains("application/x-www-form-urlencoded") ? Escape::url
                                                                : Escape::none;
}

// What is wrong with the body whatever happens; empty when nothing is.
std::string fault_of(const WebhookForm& form)
{
    if (form.body.empty() || form.escape != Escape::json)
        return {};
    Message sample;
    for (const auto& each : message_names)
        sample.emplace(each.name, each.is_number ? "1" : "\"\\\n\x01<");
    boost::json::error_code error;
    (void)boost::json::parse(form.body.render(sample, form.escape), error);
    return error ? fmt::format(
                       "body: it does not become JSON, which the content type promises ({}): a value "
                       "that is no number stands in quotes",
                       error.message())
                 : std::string{};
}

}  // namespace

std::vector<std::string> AlertmanagerSettings::faults() const
{
    std::vector<std::string> found;
    if (url.empty())
        found.emplace_back("url: no address is given");
    if (std::ranges::any_of(url, &Url::has_query))
        found.emplace_back("url: an Alertmanager's address has no query");
    if (username.empty() != password.empty())
        found.emplace_back("username and password belong together");
    if (!password.empty() && !bearer_token.empty())
        found.emplace_back("bearer_token: there is a password already");
    constexpr std::array<std::string_view, 6> ours{"alertname",       "severity",  "compose_project",
                                                   "compose_service", "container", "hold"};
    for (const auto& [name, value] : labels) {
        if (!is_label_name(name))
            found.push_back("labels: \"" + name + "\" cannot be the name of a label");
        else if (std::ranges::find(ours, name) != ours.end())
            found.push_back("labels: " + name + " is set by keepwell itself");
    }
    return found;
}

bool WebhookSettings::wants(std::string_view event) const
{
    constexpr std::array<std::string_view, 3> for_people{"alert_fired", "alert_resolved", "action_finished"};
    if (!events.empty())
        return std::ranges::find(events, event) != events.end();
    return format == WebhookFormat::keepwell || std::ranges::find(for_people, event) != for_people.end();
}

std::vector<std::string> WebhookSettings::faults() const
{
    std::vector<std::string> found;
    if (const auto parsed = Url::parse(url.reveal(), "`headers`, such as Authorization: Basic ..."); !parsed)
        found.push_back("url: " + parsed.error());
    for (const auto& event : events)
        if (std::ranges::find(webhook_events, event) == webhook_events.end())
            found.push_back(fmt::format("events: there is no event \"{}\": expected one of {}", event,
                                        fmt::join(webhook_events, ", ")));
    for (const auto& [header, value] : headers) {
        if (is_ours(header))
            found.push_back("headers: " + header + " is set by keepwell itself");
        if (!is_token(header) || !is_field_value(value.text()))
            found.push_back("headers: \"" + header + "\" or its value cannot be sent as a header");
    }
    if (!is_field_value(content_type))
        found.emplace_back("content_type: it cannot be sent as a header");
    if (auto fault = fault_of(form_of(*this)); !fault.empty())
        found.push_back(std::move(fault));
    return found;
}

std::string name_of_webhook(const WebhookSettings& settings, std::size_t number)
{
    return settings.name.empty() ? fmt::format("webhook-{}", number + 1) : settings.name;
}

WebhookForm form_of(const WebhookSettings& settings)
{
    const auto& preset = preset_of(settings.format);
    WebhookForm form{.content_type = settings.content_type.empty() ? std::string{preset.content_type}
                                                                   : settings.content_type,
                     .headers = settings.headers,
                     .body = settings.body.empty() ? *MessageTemplate::parse(preset.body) : settings.body};
    form.escape = escape_for(form.content_type);
    for (const auto& [header, value] : preset.headers) {
        const bool needs_token = value.contains("{{ token }}");
        const auto given = std::ranges::find(form.headers, lower(header),
                                             [](const auto& each) { return lower(each.first); });
        if (given == form.headers.end() && (!needs_token || !settings.token.empty()))
            form.headers.emplace(header, *MessageTemplate::parse(value));
    }
    return form;
}

}  // namespace keepwell
