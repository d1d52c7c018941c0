#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// What a message can tell, by name; what does not apply is empty, or 0 for a number.
using Message = std::map<std::string, std::string, std::less<>>;

// The names: what a webhook's JSON has and its templates may have.
struct MessageName {
    std::string_view name;
    std::string_view help;
    bool is_number = false;
};
inline constexpr std::array message_names{
    MessageName{"event",
                "`alert_fired`, `alert_resolved`, `signal_raised`, `signal_cleared`, `action_finished`, "
                "`quarantined` or `test`"},
    MessageName{"status", "`firing`, `resolved` or, of what is neither, `done`"},
    MessageName{"severity", "`critical`, `warning` or `info`"},
    MessageName{"priority", "5, 4 or 3: the same as a number, as ntfy has it", true},
    MessageName{"title", "whom it is about and what happened, in a few words"},
    MessageName{"text", "what happened, in a sentence or two"},
    MessageName{"project", "name of the stack"},
    MessageName{"service", "name of the service"},
    MessageName{"instance", "name of the instance; of an alert about a service empty"},
    MessageName{"address", "of the instance"},
    MessageName{"alert", "of an alert: its name, such as `KeepwellServiceUnhealthy`"},
    MessageName{"runbook_url", "of an alert: what to do"},
    MessageName{"url", "of the service on the status page; needs `external_url`"},
    MessageName{"cause", "of a signal and an action: why a restart is asked for"},
    MessageName{"probe", "of a signal and an action: the probe that failed"},
    MessageName{"reason", "of a signal and an action: why it failed, such as `timeout`"},
    MessageName{"words", "the same in words; of a quarantine what it means"},
    MessageName{"detail", "what the failed attempt found; the description of an alert"},
    MessageName{"hold_detail", "of a quarantine: the budget that is spent"},
    MessageName{"result", "of an action: `ok`, `failed`, `timed_out` ..."},
    MessageName{"result_detail", "of an action: the result in words"},
    MessageName{"output", "of an action: the last 4 KiB of what it printed"},
    MessageName{"seconds", "of an action: how long it took", true},
    MessageName{"times", "of a signal: how often it was raised in a row", true},
    MessageName{"since", "of a signal and an alert: since when, in RFC 3339"},
    MessageName{"time", "when it happened, in RFC 3339"},
    MessageName{"id", "of the delivery: the same for all its tries"},
    MessageName{"keepwell", "keepwell's version"},
    MessageName{"token", "the key `token` of the webhook; in templates only"},
};

// What a value must not break, wherever it stands by itself.
enum class Escape : std::uint8_t {
    none,
    json,    // within a JSON string
    url,     // within a URL or a form, as %XX
    header,  // a line: control characters become spaces
};
std::string escaped(std::string_view value, Escape how);

// Text with holes for values: `{{ name }}`, or `{{ name | limit 200 | html }}`. Filters, from left to right:
// `limit N` cuts to so many characters; `html` writes &, < and > as entities; `json`, `url` and `raw` stand
// last and say how the value is escaped, which else the place decides. Nothing else is special, and no value
// is ever read as a template.
class MessageTemplate {
public:
    static constexpr std::string_view type_name = "template";
    static std::expected<MessageTemplate, std::string> parse(std::string_view text);
    const std::string& text() const { return text_; }

    bool empty() const { return text_.empty(); }
    std::string render(const Message& message, Escape by_default) const;
    bool operator==(const MessageTemplate& other) const { return text_ == other.text_; }

private:
    struct Piece {
        std::string literal{};              // before the hole
        std::string name{};                 // empty: there is no hole any more
        std::vector<std::int64_t> steps{};  // characters to cut to, or to_html
        bool by_default = true;
        Escape escape = Escape::none;
    };
    static constexpr std::int64_t to_html = -1;
    static std::expected<Piece, std::string> parse_hole(std::string_view inside);
    static std::string filled(const Piece& piece, const Message& message, Escape by_default);

    std::string text_{};
    std::vector<Piece> pieces_{};
};

}  // namespace keepwell
