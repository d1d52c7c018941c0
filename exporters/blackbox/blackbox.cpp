#include "exporters/blackbox/blackbox.hpp"

#include "probes/printable.hpp"
#include "probes/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace keepwell::blackbox {

namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr double usual_seconds = 120;  // for who says nothing of a time-out
constexpr double most_seconds = 300;
constexpr std::size_t longest_target = 4096;

ApiResponse text(int status, std::string body)
{
    return {status, std::string{text_type}, std::move(body) + "\n"};
}

ApiResponse is_off()
{
    return text(404,
                "attempts on demand are off: start keepwell with --blackbox.config.file=FILE, the modules of "
                "blackbox_exporter (docs/blackbox.md)");
}

std::string parameter(const ApiRequest& request, const std::string& name)
{
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string{} : found->second;
}

bool is_host(std::string_view text)
{
    return std::ranges::all_of(text,
                               [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/' && c != '@'; });
}

// What `hostname=` changes; the error says why it cannot.
std::expected<void, std::string> set_hostname(Module& module, const std::string& hostname)
{
    if (!is_host(hostname))
        return std::unexpected("hostname is not a host name");
    if (module.prober == Prober::tcp && module.tcp.tls_config.server_name.empty())
        module.tcp.tls_config.server_name = hostname;
    if (module.prober != Prober::http)
        return {};
    for (const auto& [name, value] : module.http.headers)
        if (same_name(name, "Host") && value != hostname)
            return std::unexpected("the module has a Host header, and hostname is another one");
    std::erase_if(module.http.headers, [](const auto& each) { return same_name(each.first, "Host"); });
    module.http.headers["Host"] = hostname;
    return {};
}

// Counts an attempt as long as it is under way, whatever becomes of it.
struct Place {
    explicit Place(std::shared_ptr<std::size_t> of) : running{std::move(of)} { ++*running; }
    ~Place() { --*running; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::shared_ptr<std::size_t> running;
};

asio::awaitable<void> answer(SharedAttempt attempt, bool debug, std::shared_ptr<Place> place,
                             std::shared_ptr<Logs> logs, ApiResponse& response)
{
    const bool success = co_await run(attempt);
    response.body = debug ? debug_page(*attempt) : attempt->sheet.text();
    response.content_type = debug ? text_type : "text/plain; version=0.0.4; charset=utf-8";
    logs->add({.attempt = std::move(attempt), .success = success});
    place.reset();
}

double unix_now()
{
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::optional<std::string> Blackbox::content() const
{
    std::ifstream file{settings_.file, std::ios::binary};
    if (!file)
        return {};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool Blackbox::has_changed() const
{
    const auto now = is_on() ? content() : std::nullopt;
    return now && *now != loaded_content_;
}

std::expected<void, std::string> Blackbox::load()
{
    if (!is_on())
        return {};
    figures_.reload_ok = false;
    const auto now = content();
    if (!now)
        return std::unexpected("cannot read " + settings_.file);
    loaded_content_ = *now;
    auto loaded =
        parse_modules(*now, settings_.file, std::filesystem::path{settings_.file}.parent_path().string());
    if (!loaded.ok())
        return std::unexpected(render(loaded.problems));
    modules_ = std::make_shared<const Modules>(std::move(loaded.modules));
    figures_.reload_ok = true;
    figures_.reload_ok_timestamp_seconds = unix_now();
    return {};
}

// The scrape's time-out less the offset, or the module's when that is shorter.
std::expected<Clock::duration, std::string> Blackbox::time_for(const ApiRequest& request,
                                                               const Module& module) const
{
    double limit = usual_seconds;
    if (const auto& said = request.scrape_timeout; !said.empty()) {
        const auto* last = said.data() + said.size();
        const auto [end, error] = std::from_chars(said.data(), last, limit);
        if (error != std::errc{} || end != last || !std::isfinite(limit))
            return std::unexpected("X-Prometheus-Scrape-Timeout-Seconds is not a number");
    }
    const auto own = seconds(module.timeout.value);
    const auto left = (limit > 0 ? limit : usual_seconds) - settings_.timeout_offset;
    const auto chosen = own > 0 && (own < left || left <= 0) ? own : left;
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(std::clamp(chosen, 0.001, most_seconds)));
}

ApiResponse Blackbox::probe(const ApiRequest& request)
{
    if (!is_on())
        return is_off();
    auto name = parameter(request, "module");
    if (name.empty())
        name = "http_2xx";
    const auto found = modules_->modules.find(name);
    if (found == modules_->modules.end()) {
        ++figures_.unknown_modules;
        return text(400, "unknown module \"" + printable(name) + "\"");
    }
    auto target = parameter(request, "target");
    if (target.empty() || target.size() > longest_target)
        return text(400, "the parameter target is missing or too long");
    std::shared_ptr<const Module> module{modules_, &found->second};
    const auto time = time_for(request, *module);
    if (!time)
        return text(500, time.error());
    if (const auto hostname = parameter(request, "hostname"); !hostname.empty()) {
        auto changed = *module;
        if (const auto set = set_hostname(changed, hostname); !set)
            return text(400, set.error());
        module = std::make_shared<const Module>(std::move(changed));
    }
    if (*running_ >= most_attempts)
        return text(503, fmt::format("{} attempts are under way already; ask again later", most_attempts));

    auto attempt =
        std::make_shared<Attempt>(name, std::move(module), std::move(target), Clock::now() + *time);
    ApiResponse response{200, std::string{text_type}};
    response.later = [attempt = std::move(attempt), debug = parameter(request, "debug") == "true",
                      place = std::make_shared<Place>(running_), logs = logs_](ApiResponse& to_fill) {
        return answer(attempt, debug, place, logs, to_fill);
    };
    return response;
}

ApiResponse Blackbox::logs(const ApiRequest& request) const
{
    if (!is_on())
        return is_off();
    const auto id = parameter(request, "id");
    const auto target = parameter(request, "target");
    const Record* found = nullptr;
    if (!id.empty()) {
        std::uint64_t number = 0;
        const auto* last = id.data() + id.size();
        const auto [end, error] = std::from_chars(id.data(), last, number);
        if (error != std::errc{} || end != last)
            return text(400, "id is not a number");
        found = logs_->find(number);
    } else if (!target.empty()) {
        found = logs_->find(target, parameter(request, "module"));
    } else {
        return {200, std::string{text_type}, logs_->list()};
    }
    if (!found)
        return text(404, "no such attempt is remembered");
    return {200, std::string{text_type}, debug_page(*found->attempt)};
}

}  // namespace keepwell::blackbox
