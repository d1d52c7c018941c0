// `keepwell probe`: one attempt from the command line.
#include "daemon/config.hpp"
#include "daemon/kinds.hpp"
#include "daemon/main/commands.hpp"
#include "probes/runner.hpp"
#include "probes/utf8.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <cstdio>

namespace keepwell {

namespace json = boost::json;

namespace {

double seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

std::string result_json(const Probe& probe, const ProbeResult& result)
{
    json::object phases;
    for (std::size_t i = 0; i < phase_count; ++i)
        if (result.phase_took[i] > Clock::duration{})
            phases[to_string(static_cast<Phase>(i))] = seconds(result.phase_took[i]);
    json::object facts;
    for (const auto& fact : result.facts)
        facts[fact.name] = fact.value;
    return json::serialize(json::object{{"kind", kind_of(*probe.spec)},
                                        {"outcome", to_string(result.outcome)},
                                        {"reason", to_string(result.reason)},
                                        {"words", words(result.reason)},
                                        {"phase", to_string(result.phase)},
                                        {"detail", valid_utf8(result.detail)},
                                        {"output", valid_utf8(result.output)},
                                        {"seconds", seconds(result.took)},
                                        {"phases", phases},
                                        {"facts", facts}}) +
           "\n";
}

std::string result_text(const Probe& probe, const ProbeResult& result)
{
    std::string text = fmt::format("{}: {}", kind_of(*probe.spec), to_string(result.outcome));
    if (result.reason != Reason::none)
        text += fmt::format(", {} in phase {} ({})", to_string(result.reason), to_string(result.phase),
                            words(result.reason));
    if (!result.detail.empty())
        text += fmt::format("\n  {}", valid_utf8(result.detail));
    text += fmt::format("\n  {:.3f} ms:", seconds(result.took) * 1e3);
    for (std::size_t i = 0; i < phase_count; ++i)
        if (result.phase_took[i] > Clock::duration{})
            text += fmt::format(" {} {:.3f}", to_string(static_cast<Phase>(i)),
                                seconds(result.phase_took[i]) * 1e3);
    for (const auto& fact : result.facts)
        text += fmt::format("\n  {} {}", fact.name, fact.value);
    if (!result.output.empty())
        text += "\n  output:\n" + valid_utf8(result.output);
    return text + (text.ends_with('\n') ? "" : "\n");
}

}  // namespace

int probe_command(const CommandOptions& options)
{
    auto settings = options.settings;
    if (!options.timeout.empty())
        settings.push_back("timeout=" + options.timeout);
    const auto made = make_probe(options.kind, options.targets, settings);
    if (!made.ok()) {
        std::fputs(render(made.problems).c_str(), stderr);
        return exit_usage;
    }
    asio::io_context loop{1};
    ProbeResult result;
    asio::co_spawn(loop, run(made.probe.spec, made.probe.timing.timeout.value),
                   [&](const std::exception_ptr& error, ProbeResult end) {
                       if (error)
                           std::rethrow_exception(error);
                       result = std::move(end);
                       loop.stop();
                   });
    loop.run();
    std::fputs((options.json ? result_json(made.probe, result) : result_text(made.probe, result)).c_str(),
               stdout);
    return static_cast<int>(result.outcome);
}

}  // namespace keepwell
