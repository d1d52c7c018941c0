#include "daemon/main/table.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <boost/json.hpp>

#include <array>
#include <ctime>
#include <vector>

namespace keepwell {

namespace json = boost::json;

namespace {

using Row = std::array<std::string, 5>;  // service, instance, state, since, why

std::string text(const json::object& object, std::string_view key)
{
    const auto* value = object.if_contains(key);
    return value && value->is_string() ? std::string{value->get_string()} : std::string{};
}

// How long ago, in the largest two units: "12s", "3m10s", "2h05m", "4d".
std::string ago(const std::string& since)
{
    std::tm broken{};
    if (!::strptime(since.c_str(), "%Y-%m-%dT%H:%M:%S", &broken))
        return "?";
    const auto seconds = std::max<std::time_t>(0, std::time(nullptr) - ::timegm(&broken));
    if (seconds < 60)
        return fmt::format("{}s", seconds);
    if (seconds < 3600)
        return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    if (seconds < 86400)
        return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

// "redis connection_refused: connection refused", of an attempt or a signal.
std::string failure(const std::string& probe, const json::object& object)
{
    const auto detail = text(object, "detail");
    return fmt::format("{} {}{}{}", probe, text(object, "reason"), detail.empty() ? "" : ": ", detail);
}

// When it was, why, and what came of it: "last restart 3s ago (redis connection_refused: connection refused):
// ok".
std::string last_restart(const json::object& last)
{
    const auto& signal = last.at("signal").as_object();
    auto cause = text(signal, "cause");  // of a cascade
    if (const auto probe = text(signal, "probe"); !probe.empty())
        cause = failure(probe, signal);
    return fmt::format("last restart {} ago ({}): {}", ago(text(last, "at")), cause, text(last, "result"));
}

std::string why(const json::object& service, const json::object& instance)
{
    std::string reason;
    if (const auto* note = service.if_contains("maintenance"))
        reason = text(note->as_object(), "note");
    if (instance.if_contains("rest"))
        reason = text(instance, "rest");
    else if (text(instance, "state") != "healthy")
        for (const auto& each : instance.at("probes").as_array()) {
            const auto* last = each.as_object().if_contains("last_attempt");
            if (!last || text(last->as_object(), "outcome") == "ok")
                continue;
            reason = failure(text(each.as_object(), "name"), last->as_object());
            break;
        }
    if (const auto root = text(service, "root_cause"); !root.empty())
        reason += fmt::format("{}root cause: {}", reason.empty() ? "" : "; ", root);
    if (const auto* hold = instance.if_contains("hold")) {
        const auto detail = text(hold->as_object(), "detail");
        reason += fmt::format("{}not restarted ({}): {}", reason.empty() ? "" : "; ",
                              text(hold->as_object(), "name"),
                              detail.empty() ? text(hold->as_object(), "words") : detail);
    }
    if (const auto* last = instance.at("restarts").as_object().if_contains("last"))
        reason += (reason.empty() ? "" : "; ") + last_restart(last->as_object());
    return reason;
}

std::string_view color_of(std::string_view state)
{
    if (state == "healthy")
        return "\033[32m";
    if (state == "unhealthy")
        return "\033[31m";
    return "\033[33m";
}

std::string one_line(std::string value)
{
    for (char& c : value)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            c = ' ';
    return value;
}

bool is(const json::object& object, std::string_view key, bool wanted)
{
    const auto* value = object.if_contains(key);
    return value && value->is_bool() && value->get_bool() == wanted;
}

// The stack's state, and what is to be known before any of the rest is believed.
std::string heading(const json::object& status)
{
    auto line = fmt::format("{}: {}", text(status, "project"), text(status, "state"));
    if (status.contains("doubt"))
        line += "; in doubt: " + text(status, "doubt");
    if (is(status, "engine_up", false))
        line += "; the Docker Engine does not answer: its containers may have changed meanwhile";
    if (is(status, "stands_by", true))
        line += "; another keepwell acts, this one only watches";
    return line;
}

}  // namespace

std::string status_table(const std::string& status_json, bool color)
{
    json::error_code error;
    const auto document = json::parse(status_json, error);
    if (error || !document.is_object())
        throw std::runtime_error{"the answer is not keepwell's status"};
    const auto& status = document.as_object();
    std::vector<Row> rows{{"SERVICE", "INSTANCE", "STATE", "SINCE", "WHY"}};
    for (const auto& each : status.at("services").as_array())
        for (const auto& instance : each.as_object().at("instances").as_array())
            rows.push_back({one_line(text(each.as_object(), "name")),
                            one_line(text(instance.as_object(), "name")), text(instance.as_object(), "state"),
                            ago(text(instance.as_object(), "since")),
                            one_line(why(each.as_object(), instance.as_object()))});
    std::array<std::size_t, 4> widths{};
    for (const auto& row : rows)
        for (std::size_t i = 0; i < widths.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    auto table = heading(status) + "\n\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const auto& row = rows[r];
        std::string line = fmt::format("{:<{}}  {:<{}}  ", row[0], widths[0], row[1], widths[1]);
        const auto state = fmt::format("{:<{}}", row[2], widths[2]);
        line += color && r > 0 ? fmt::format("{}{}\033[0m", color_of(row[2]), state) : state;
        line += fmt::format("  {:<{}}  {}", row[3], widths[3], row[4]);
        line.erase(line.find_last_not_of(' ') + 1);
        table += line + "\n";
    }
    return table;
}

}  // namespace keepwell
