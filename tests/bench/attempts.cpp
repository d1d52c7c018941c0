// What does one attempt of keepwell cost? Attempts of one probe, through the same run() as the daemon's, as
// fast as they end.
//
//   --kind=redis --target=127.0.0.1:16379 [--settings=key=value;key=value]   as `keepwell probe` takes them
//   --count=10000 attempts to measure   --in-flight=32 at a time
#include "daemon/config.hpp"
#include "probes/runner.hpp"
#include "tests/bench/floor.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sstream>

namespace {

using namespace keepwell;

SharedSpec spec_of(bench::Options& options)
{
    const auto kind = options.text("kind", "tcp");
    const auto target = options.text("target", "");
    std::vector<std::string> settings;
    std::istringstream listed{options.text("settings", "")};
    for (std::string each; std::getline(listed, each, ';');)
        settings.push_back(each);
    const auto loaded = make_probe(kind, target, settings);
    if (!loaded.ok())
        bench::die(loaded.problems.front().text);
    return loaded.probe.spec;
}

asio::awaitable<void> attempt_again_and_again(SharedSpec spec, bench::Tally& tally)
{
    while (tally.may_begin()) {
        tally.begin();
        const auto result = co_await run(spec, std::chrono::seconds{5});
        if (result.outcome != Outcome::ok)
            std::fprintf(stderr, "%s\n", result.detail.c_str());
        tally.end(result.outcome == Outcome::ok);
    }
}

}  // namespace

int main(int argument_count, char** arguments)
{
    bench::Options options{argument_count, arguments};
    const auto in_flight = static_cast<int>(options.number("in-flight", 32));
    const auto spec = spec_of(options);
    bench::Tally tally{static_cast<long>(options.number("count", 10000)), in_flight};
    options.finish();

    asio::io_context loop{1};
    for (int i = 0; i < in_flight; ++i)
        asio::co_spawn(loop, attempt_again_and_again(spec, tally), [](std::exception_ptr error) {
            if (error)
                std::rethrow_exception(error);
        });
    loop.run();
    return tally.report();
}
