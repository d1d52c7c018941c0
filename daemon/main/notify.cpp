// `keepwell notify test`: a test message to each receiver of the configuration, and what came of it.
#include "daemon/config.hpp"
#include "daemon/main/commands.hpp"
#include "exporters/alertmanager.hpp"
#include "exporters/webhook.hpp"
#include "probes/printable.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace keepwell {

namespace {

// Alertmanager waits for a group before it tells anybody.
constexpr std::chrono::seconds test_lasts = std::chrono::minutes{5};

struct Receiver {
    std::string name{};
    std::string where{};
    HttpRequest request{};
    Clock::duration timeout{};
    std::vector<std::string> secrets{};
    Posted posted{};
};

// What a receiver answers may repeat what it was sent.
std::string masked(std::string text, std::vector<std::string> secrets)
{
    std::ranges::sort(secrets, std::greater{}, &std::string::size);
    constexpr std::size_t least = 4;  // shorter ones occur by chance
    for (const auto& secret : secrets)
        for (std::size_t at = 0; secret.size() >= least && (at = text.find(secret, at)) != text.npos;)
            text.replace(at, secret.size(), Secret::text());
    return text;
}

// Path and query of a webhook are its password, often, and their longer parts are by themselves.
std::vector<std::string> secrets_in(const Url& url)
{
    constexpr std::size_t least = 8;
    const auto& target = url.target();
    std::vector<std::string> found{target.substr(1)};
    for (std::size_t at = 0; at < target.size();) {
        const auto end = std::min(target.find_first_of("/?&=", at), target.size());
        if (end - at >= least)
            found.push_back(target.substr(at, end - at));
        at = end + 1;
    }
    return found;
}

Receiver alertmanager_of(const Config& config, const Url& member)
{
    auto settings = *config.alertmanager;
    settings.resend = test_lasts / 4;
    const auto now = std::chrono::system_clock::now();
    const Alert alert{
        .key = {.rule = "KeepwellTest", .project = config.stack.project},
        .fired_at = now,
        .description = "keepwell notify test has sent this. It ends by itself after five minutes."};
    Receiver receiver{.name = "alertmanager", .where = member.origin(), .timeout = settings.timeout.value};
    receiver.request =
        alerts_request(settings, member, alerts_body({&alert, 1}, settings, config.external_url, now));
    receiver.secrets = {settings.password.reveal(), settings.bearer_token.reveal()};
    return receiver;
}

Receiver webhook_of(const Config& config, std::size_t number)
{
    const auto& settings = config.webhooks[number];
    Receiver receiver{.name = name_of_webhook(settings, number), .timeout = settings.timeout.value};
    receiver.request = webhook_request(settings, test_event(config.stack.project, config.external_url));
    sign(receiver.request, settings, std::chrono::system_clock::now());
    receiver.where = receiver.request.url.origin();
    receiver.secrets = secrets_in(receiver.request.url);
    receiver.secrets.push_back(settings.token.reveal());
    receiver.secrets.push_back(settings.secret.reveal());
    return receiver;
}

std::vector<Receiver> receivers_of(const Config& config)
{
    std::vector<Receiver> receivers;
    if (config.alertmanager)
        for (const auto& member : config.alertmanager->url)
            receivers.push_back(alertmanager_of(config, member));
    for (std::size_t i = 0; i < config.webhooks.size(); ++i)
        receivers.push_back(webhook_of(config, i));
    return receivers;
}

// A header of the configuration's may be a secret by itself; of what is made from a template the name tells.
bool is_shown(const HttpHeader& header)
{
    auto name = header.name;
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    constexpr std::array<std::string_view, 5> secret{"authorization", "cookie", "key", "token", "secret"};
    return std::ranges::none_of(secret, [&](std::string_view part) { return name.contains(part); });
}

void print_request(const Receiver& receiver)
{
    const auto& request = receiver.request;
    std::string text = fmt::format("{}: {} {}\n", receiver.name, request.method, request.url.whole());
    for (const auto& header : request.headers)
        text += fmt::format("  {}: {}\n", header.name, is_shown(header) ? header.value : Secret::text());
    if (!request.password.empty() || !request.bearer_token.empty())
        text += fmt::format("  Authorization: {}\n", Secret::text());
    fmt::print("{}\n{}\n\n", masked(text, receiver.secrets), masked(request.body, receiver.secrets));
}

asio::awaitable<void> test(Receiver& receiver)
{
    receiver.posted = co_await deliver(receiver.request, receiver.timeout);
}

void print_outcome(const Receiver& receiver)
{
    const auto& posted = receiver.posted;
    const auto took = std::chrono::duration<double, std::milli>(posted.took).count();
    if (posted.error.empty()) {
        fmt::print("{} ({}): ok, status {} in {:.0f} ms\n", receiver.name, receiver.where, posted.status,
                   took);
        return;
    }
    const auto answer = excerpt(masked(posted.answer, receiver.secrets));
    fmt::print("{} ({}): failed, {} after {:.0f} ms{}{}\n", receiver.name, receiver.where,
               masked(posted.error, receiver.secrets), took, answer.empty() ? "" : ": ", answer);
}

}  // namespace

int notify_test_command(const CommandOptions& options)
{
    const auto loaded = load_config(options.file);
    if (!loaded.ok()) {
        std::fputs(render(loaded.problems).c_str(), stderr);
        return exit_usage;
    }
    auto receivers = receivers_of(loaded.config);
    if (receivers.empty()) {
        fmt::print(stderr, "keepwell: {} has no receivers: add `alertmanager` or `webhooks`\n", options.file);
        return exit_usage;
    }
    std::vector<std::string> names;  // of a cluster's members it is the same
    for (const auto& each : receivers)
        if (std::ranges::find(names, each.name) == names.end())
            names.push_back(each.name);
    if (!options.receiver.empty())
        std::erase_if(receivers, [&](const Receiver& each) { return each.name != options.receiver; });
    if (receivers.empty()) {
        fmt::print(stderr, "keepwell: no receiver \"{}\" in {}; there are: {}\n", options.receiver,
                   options.file, fmt::join(names, ", "));
        return exit_usage;
    }
    if (options.dry_run) {
        std::ranges::for_each(receivers, print_request);
        return 0;
    }
    asio::io_context loop{1};
    auto left = receivers.size();
    for (auto& each : receivers)
        asio::co_spawn(loop, test(each), [&](const std::exception_ptr& error) {
            if (error)
                std::rethrow_exception(error);
            if (--left == 0)
                loop.stop();
        });
    loop.run();
    std::ranges::for_each(receivers, print_outcome);
    return std::ranges::all_of(receivers, [](const Receiver& each) { return each.posted.error.empty(); }) ? 0
                                                                                                          : 1;
}

}  // namespace keepwell
