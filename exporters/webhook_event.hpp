#pragma once

#include "daemon/message_template.hpp"
#include "daemon/receiver.hpp"
#include "daemon/timestamp.hpp"
#include "probes/transfer.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace keepwell {

// What a webhook is told of: what happened, as values by name (message_names), in order.
class WebhookEvent {
public:
    using Value = std::variant<std::string, double, std::int64_t>;

    explicit WebhookEvent(std::string_view kind) { set("event", std::string{kind}); }

    void set(std::string_view name, Value value);  // a name that is there already gets another value
    std::string text(std::string_view name) const;
    std::string kind() const { return text("event"); }

    std::string json() const;  // the body of the format `keepwell`
    Message message() const;   // for templates

private:
    std::vector<std::pair<std::string, Value>> values_{};
};

// What goes over the wire, but for what belongs to one try (sign()).
HttpRequest webhook_request(const WebhookSettings& settings, const WebhookEvent& event);
// Adds the time of a try and, with a secret, the signature.
void sign(HttpRequest& request, const WebhookSettings& settings, WallTime now);

}  // namespace keepwell
