#include "deploy/app/faults.hpp"

#include "deploy/app/log.hpp"

#include <fmt/format.h>
#include <charconv>
#include <cstdlib>

namespace keepwell::app {
namespace {

// The number in "name=123"; the fallback when the text is empty, nothing when it is something else.
std::optional<long> parameter(std::string_view text, std::string_view name, long fallback, long most)
{
    if (text.empty())
        return fallback;
    if (!text.starts_with(name) || !text.substr(name.size()).starts_with('='))
        return std::nullopt;
    text.remove_prefix(name.size() + 1);
    long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most)
        return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::string> Faults::command(std::string_view text)
{
    const auto question = text.find('?');
    const std::string_view name = text.substr(0, question);
    const std::string_view query = question == text.npos ? "" : text.substr(question + 1);
    if (!enabled_)
        return std::nullopt;
    log(Level::warning, "told to be at fault", {{"fault", std::string{text}}});
    if (name == "hang") {
        hanging_ = true;
        return "nothing is answered from now on";
    }
    if (name == "error") {
        failing_ = true;
        return "everything is answered with 500 from now on";
    }
    if (name == "slow") {
        const auto milliseconds = parameter(query, "ms", 1000, 600'000);
        delay_ = milliseconds.value_or(delay_);
        return milliseconds ? std::optional{fmt::format("everything takes {} ms more", *milliseconds)}
                            : std::nullopt;
    }
    if (name == "leak") {
        const auto megabytes = parameter(query, "mb", 64, 65536);
        return megabytes ? std::optional{leak(*megabytes)} : std::nullopt;
    }
    if (name == "crash")
        std::abort();
    if (name == "clear") {
        hanging_ = failing_ = false;
        delay_ = 0;
        const std::lock_guard lock{leaking_};
        leaked_.clear();
        return "all is well";
    }
    return std::nullopt;
}

std::string Faults::leak(long megabytes)
{
    const std::lock_guard lock{leaking_};
    leaked_.emplace_back(static_cast<std::size_t>(megabytes) << 20U, 'x');  // written, so that it is resident
    std::size_t total = 0;
    for (const auto& block : leaked_)
        total += block.size() >> 20U;
    return fmt::format("{} MiB are held", total);
}

}  // namespace keepwell::app
