#include "exporters/webhook_event.hpp"

#include "probes/digest.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>

namespace keepwell {

void WebhookEvent::set(std::string_view name, Value value)
{
    if (auto* text = std::get_if<std::string>(&value))
        *text = valid_utf8(*text);
    const auto found =
        std::ranges::find(values_, name, [](const auto& each) { return std::string_view{each.first}; });
    if (found == values_.end())
        values_.emplace_back(name, std::move(value));
    else
        found->second = std::move(value);
}

std::string WebhookEvent::text(std::string_view name) const
{
    const auto found =
        std::ranges::find(values_, name, [](const auto& each) { return std::string_view{each.first}; });
    if (found == values_.end())
        return {};
    if (const auto* text = std::get_if<std::string>(&found->second))
        return *text;
    return std::visit(
        [](const auto& value) {
            if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>)
                return fmt::format("{}", value);
            else
                return value;
        },
        found->second);
}

std::string WebhookEvent::json() const
{
    boost::json::object object;
    for (const auto& [name, value] : values_)
        std::visit([&](const auto& each) { object[name] = each; }, value);
    return boost::json::serialize(object);
}

Message WebhookEvent::message() const
{
    Message message;
    for (const auto& [name, value] : values_)
        message.emplace(name, text(name));
    return message;
}

HttpRequest webhook_request(const WebhookSettings& settings, const WebhookEvent& event)
{
    const auto form = form_of(settings);
    auto message = event.message();
    message["token"] = settings.token.reveal();
    HttpRequest request{.method = "POST"};
    if (auto url = Url::parse(settings.url.reveal()))
        request.url = *std::move(url);
    request.tls.ca_file = settings.ca_file;
    request.body = form.body.empty() ? event.json() : form.body.render(message, form.escape);
    request.headers = {{"Content-Type", form.content_type},
                       {"X-Keepwell-Event", event.kind()},
                       {"X-Keepwell-Delivery", event.text("id")}};
    for (const auto& [name, value] : form.headers)
        if (auto text = value.render(message, Escape::header); !text.empty())
            request.headers.push_back({name, std::move(text)});
    return request;
}

void sign(HttpRequest& request, const WebhookSettings& settings, WallTime now)
{
    const auto timestamp = std::to_string(std::chrono::system_clock::to_time_t(now));
    request.headers.push_back({"X-Keepwell-Timestamp", timestamp});
    if (!settings.secret.empty())
        request.headers.push_back(
            {"X-Keepwell-Signature",
             "sha256=" + hmac_sha256(settings.secret.reveal(), timestamp + "." + request.body)});
}

}  // namespace keepwell
