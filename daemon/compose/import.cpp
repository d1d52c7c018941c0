#include "daemon/compose/import.hpp"

#include "daemon/compose/guess.hpp"
#include "daemon/compose/healthcheck.hpp"
#include "daemon/compose/model.hpp"
#include "daemon/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace keepwell::compose {

namespace {

// A text as a YAML scalar of one line in which nothing is a variable.
std::string quoted(std::string_view text)
{
    std::string all = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            all += '\\';
        if (c == '$')
            all += '$';
        if (static_cast<unsigned char>(c) < 0x20)
            all += fmt::format("\\x{:02x}", c);
        else
            all += c;
    }
    return all + "\"";
}

std::string scalar(std::string_view text)
{
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:";
    const bool word = !text.empty() && text.find_first_not_of(plain) == text.npos && !text.ends_with(':') &&
                      !std::string_view{"-.:"}.contains(text.front());
    return word ? std::string{text} : quoted(text);
}

// A text in a comment: one line, and not too long.
std::string in_comment(std::string_view text)
{
    std::string line;
    for (const char c : text.substr(0, 160))
        line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    return text.size() > 160 ? line + "..." : line;
}

class Writer {
public:
    Writer(const Model& model, Imported& imported) : model_{model}, imported_{imported} {}

    void write()
    {
        std::string services;
        for (const auto& service : model_.services)
            services += text_of(service);
        imported_.services = model_.services.size();
        auto& yaml = imported_.yaml;
        yaml = fmt::format(
            "# Made by `keepwell import`. Services: {}; watched as their health checks ask: {}; by a guess: "
            "{}.\n",
            imported_.services, imported_.translated, imported_.guessed);
        yaml += "# A guess has the role readiness: it tells, but is no reason for a restart.\n";
        for (const auto& name : needed_)
            yaml += fmt::format(
                "# Set ${{{}}} in keepwell's environment, or name a file instead: password_file.\n", name);
        yaml += fmt::format("project: {}\n", scalar(model_.project.empty() ? "default" : model_.project));
        yaml +=
            "mode: signal  # observe: only measure; signal: say what should be restarted; act: restart it\n";
        yaml += "services:\n" + services;
    }

private:
    std::string text_of(const ServiceModel& service)
    {
        std::string text = fmt::format("  {}:\n", scalar(service.name));
        if (!service.depends_on.empty())
            text += edges_of(service);
        const Inside inside{host_of(service), [&](std::string_view name) -> std::optional<std::string> {
                                const auto found = service.environment.find(std::string{name});
                                return found == service.environment.end() ? std::nullopt
                                                                          : std::optional{found->second};
                            }};
        const auto& check = service.healthcheck;
        const bool none = check.test.empty();
        const auto probes = translate(check.test, inside);
        if (probes) {
            ++imported_.translated;
            text += fmt::format("    # As its health check asks ({}):\n", in_comment(program_of(check)));
            return text + timing_of(check) + probes_of(*probes, service, "");
        }
        if (none)
            text += "    # It has no health check in the file (its image may have one).\n";
        else
            text += fmt::format("    # Its health check {}.\n", in_comment(probes.error().words));
        const auto guessed = guess(service.image, service.ports, inside.host);
        if (!guessed) {
            return text +
                   "    # Nothing tells how to ask it. One of these may fit:\n"
                   "    #   - heartbeat: {max_age: 1m}   # it posts to /api/v1/heartbeat/" +
                   in_comment(service.name) + "\n    #   - tcp: HOST:PORT\n    probes: []\n";
        }
        ++imported_.guessed;
        return text +
               fmt::format("    # A guess from {}:\n",
                           service.image.empty() ? "its ports" : "the image " + in_comment(service.image)) +
               probes_of({*guessed}, service, "        role: readiness\n");
    }

    std::string host_of(const ServiceModel& service) const
    {
        if (service.host_network)
            return "host.docker.internal";
        return service.network_of.empty() ? service.name : service.network_of;
    }

    // Only that: the rest may hold a password.
    static std::string_view program_of(const Healthcheck& check)
    {
        const std::string_view line = check.test.at(1);
        return line.substr(0, line.find_first_of(" \t\n=:"));
    }

    static std::string edges_of(const ServiceModel& service)
    {
        std::string text = "    depends_on:\n";
        for (const auto& edge : service.depends_on) {
            const auto& names = enum_names(Condition{});
            const auto name = std::ranges::find(names, edge.condition, &Named<Condition>::value)->name;
            text += fmt::format("      {}: {{condition: {}{}}}\n", scalar(edge.service), name,
                                edge.restart ? ", restart: true" : "");
        }
        return text;
    }

    // Docker's times are not keepwell's defaults, so that they are said.
    static std::string timing_of(const Healthcheck& check)
    {
        std::string text;
        const auto add = [&](std::string_view key, const std::string& value, std::string_view otherwise) {
            if (!value.empty() || !otherwise.empty())
                text += fmt::format("    {}: {}\n", key, value.empty() ? otherwise : value);
        };
        add("interval", check.interval, "30s");
        add("timeout", check.timeout, "30s");
        add("retries", check.retries, "");
        add("start_period", check.start_period, "");
        if (!check.start_interval.empty() && (check.start_period.empty() || check.start_period == "0s"))
            return text + "    # Its start_interval does nothing, as there is no start_period.\n";
        add("start_interval", check.start_interval, "");
        return text;
    }

    std::string probes_of(const std::vector<NativeProbe>& probes, const ServiceModel& service,
                          std::string_view more)
    {
        std::string text;
        if (service.replicas > 1)
            text = fmt::format("    instances: all  # {} replicas: each address of the name is one\n",
                               service.replicas);
        text += "    probes:\n";
        for (const auto& probe : probes)
            text += fmt::format("      - {}: {}\n{}", probe.kind, value_of(probe, service), more);
        return text;
    }

    std::string value_of(const NativeProbe& probe, const ServiceModel& service)
    {
        if (probe.settings.empty())
            return scalar(probe.target);
        std::string text =
            fmt::format("{{{}: {}", probe.kind == "http" ? "url" : "address", scalar(probe.target));
        for (std::size_t i = 0; i < probe.settings.size();) {
            const auto& key = probe.settings[i].key;
            const auto dot = key.find('.');
            const auto group = key.substr(0, dot);
            std::vector<std::string> values;
            for (; i < probe.settings.size() &&
                   probe.settings[i].key.substr(0, probe.settings[i].key.find('.')) == group;
                 ++i) {
                const auto& each = probe.settings[i];
                const auto value = value_text(each, service);
                values.push_back(
                    dot == key.npos ? value : fmt::format("{}: {}", scalar(each.key.substr(dot + 1)), value));
            }
            const bool list = dot == key.npos && values.size() > 1;
            const auto joined = fmt::format("{}", fmt::join(values, ", "));
            text += fmt::format(", {}: {}", group,
                                dot != key.npos ? "{" + joined + "}"
                                : list          ? "[" + joined + "]"
                                                : joined);
        }
        return text + "}";
    }

    std::string value_text(const Setting& each, const ServiceModel& service)
    {
        if (!each.secret)
            return each.value.starts_with('[') ? each.value : scalar(each.value);
        auto name = each.variable;
        if (name.empty()) {
            name = service.name + "_" + each.key.substr(each.key.rfind('.') + 1);
            for (auto& c : name)
                c = std::isalnum(static_cast<unsigned char>(c)) ? static_cast<char>(std::toupper(c)) : '_';
        }
        needed_.insert(name);
        return "\"${" + name + "}\"";
    }

    const Model& model_;
    Imported& imported_;
    std::set<std::string> needed_{};  // variables that the configuration names
};

}  // namespace

Imported import_compose(std::string_view text, std::string_view file, const Variables& variables)
{
    Imported imported;
    // As Compose does: a variable that is not set is empty.
    const auto or_empty = [&](std::string_view name) -> std::optional<std::string> {
        return variables(name).value_or("");
    };
    auto document = parse_document(text, file, or_empty);
    imported.problems = std::move(document.problems);
    if (!document.whole)
        return imported;
    const auto model = read_model(document.root, file, imported.problems);
    if (imported.ok())
        Writer{model, imported}.write();
    return imported;
}

}  // namespace keepwell::compose
