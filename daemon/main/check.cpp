// What can be said of a configuration without running it: check, explain, reference and schema; and where one
// comes from: import.
#include "daemon/compose/import.hpp"
#include "daemon/config.hpp"
#include "daemon/explain.hpp"
#include "daemon/file_text.hpp"
#include "daemon/main/commands.hpp"
#include "daemon/main/containers.hpp"
#include "daemon/reference.hpp"
#include "daemon/schema.hpp"
#include "exporters/blackbox/modules.hpp"
#include "exporters/door/web_config.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include <unistd.h>

namespace keepwell {

namespace {

constexpr std::size_t most_bytes = 64 << 20;  // of what is not a configuration
constexpr std::chrono::seconds pipes_patience{5};

std::string standard_input()
{
    std::string text;
    char bytes[65536];
    while (const auto count = std::fread(bytes, 1, sizeof bytes, stdin))
        text.append(bytes, count);
    return text;
}

// Throws std::runtime_error.
std::string contents_of(const std::string& file)
{
    if (file == "-")
        return standard_input();
    auto text = text_of_file(file, most_bytes, pipes_patience);
    if (!text)
        throw std::runtime_error{file + ": " + text.error()};
    return *std::move(text);
}

LoadedConfig load(const std::string& file)
{
    return file == "-" ? parse_config(standard_input(), "standard input", ".") : load_config(file);
}

// The configuration with what runs in containers now; says what was found. Not 0: the exit code.
int check_containers(const std::string& file, LoadedConfig& loaded)
{
    const auto now = look_at_containers(loaded.config.docker.value_or(DockerSettings{}));
    if (!now) {
        fmt::print(stderr, "keepwell: {}\n", now.error());
        return exit_system;
    }
    loaded = load_config(file, environment, &now->found);
    for (const auto& each : now->found.notes)
        fmt::print("note: {}\n", each);
    for (const auto& each : now->advice)
        fmt::print("advice: {}\n", each);
    for (const auto& service : loaded.config.stack.services)
        fmt::print("{}: {}\n", service.name,
                   service.origin.empty() ? "the configuration file" : service.origin);
    return 0;
}

}  // namespace

std::string usual_config_file()
{
    constexpr const char* here = "keepwell.yaml";
    constexpr const char* installed = "/etc/keepwell/keepwell.yaml";
    return ::access(here, F_OK) != 0 && ::access(installed, R_OK) == 0 ? installed : here;
}

int check_command(const std::string& file, bool docker)
{
    auto loaded = load(file);
    if (docker && loaded.ok())
        if (const auto code = check_containers(file, loaded))
            return code;
    std::fputs(render(loaded.problems).c_str(), stderr);
    const auto errors = std::ranges::count(loaded.problems, Severity::error, &Problem::severity);
    const auto warnings = static_cast<std::ptrdiff_t>(loaded.problems.size()) - errors;
    std::size_t probes = 0;
    for (const auto& service : loaded.config.stack.services)
        for (const auto& instance : service.instances)
            probes += instance.probes.size();
    if (errors) {
        fmt::print(stderr, "{}: {} error{}, {} warning{}\n", file, errors, errors == 1 ? "" : "s", warnings,
                   warnings == 1 ? "" : "s");
        return exit_usage;
    }
    fmt::print("{}: fine; {} service{}, {} probe{}, {} warning{}\n", file,
               loaded.config.stack.services.size(), loaded.config.stack.services.size() == 1 ? "" : "s",
               probes, probes == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
    return 0;
}

int check_web_config(const std::string& file)
{
    if (file.empty())
        return 0;
    const auto loaded = load_web_config(file);
    std::fputs(render(loaded.problems).c_str(), stderr);
    if (!loaded.ok())
        return exit_usage;
    fmt::print("{}: fine\n", file);
    return 0;
}

int check_modules(const std::string& file)
{
    if (file.empty())
        return 0;
    const auto loaded =
        blackbox::parse_modules(contents_of(file), file, std::filesystem::path{file}.parent_path().string());
    std::fputs(render(loaded.problems).c_str(), stderr);
    if (!loaded.ok())
        return exit_usage;
    fmt::print("{}: fine; {} module{}\n", file, loaded.modules.modules.size(),
               loaded.modules.modules.size() == 1 ? "" : "s");
    return 0;
}

int import_command(const std::string& compose_file)
{
    const auto name = compose_file == "-" ? "standard input" : compose_file;
    const auto imported = compose::import_compose(contents_of(compose_file), name);
    std::fputs(render(imported.problems).c_str(), stderr);
    if (!imported.ok())
        return exit_usage;
    std::fputs(imported.yaml.c_str(), stdout);
    const auto left = imported.services - imported.translated - imported.guessed;
    fmt::print(stderr, "{}: {} services: {} translated, {} guessed, {} left to you\n", name,
               imported.services, imported.translated, imported.guessed, left);
    return 0;
}

int explain_command(const CommandOptions& options)
{
    auto loaded = load(options.file);
    if (loaded.ok() && loaded.config.docker) {
        const auto now = look_at_containers(*loaded.config.docker);
        if (!now)
            throw std::runtime_error{now.error()};
        loaded = load_config(options.file, environment, &now->found);
    }
    if (!loaded.ok()) {
        std::fputs(render(loaded.problems).c_str(), stderr);
        return exit_usage;
    }
    const Stack stack{loaded.config.stack};
    const auto id = stack.find(options.service);
    if (!id) {
        std::string names;
        for (const auto& row : stack.services())
            names += (names.empty() ? "" : ", ") + row.spec->name;
        fmt::print(stderr, "keepwell: no service \"{}\" in {}; there are: {}\n", options.service,
                   options.file, names);
        return exit_usage;
    }
    std::fputs(explain(stack, *id).c_str(), stdout);
    return 0;
}

int reference_command()
{
    std::fputs(reference_page().c_str(), stdout);
    return 0;
}

int schema_command()
{
    std::fputs(json_schema().c_str(), stdout);
    return 0;
}

}  // namespace keepwell
