// What does one attempt of keepwell cost? Attempts of one probe, through the same run() as the daemon's, as
// fast as they end.
//
//   --kind=tcp ...  and the kind's own options, below   --count=10000 attempts to measure   --in-flight=32 at
//   a time
#include "probes/runner.hpp"
#include "tests/bench/floor.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace {

using namespace keepwell;

Address address_of(bench::Options& options)
{
    const auto port = static_cast<std::uint16_t>(options.number("port", 0));
    return {.host = options.text("address", "127.0.0.1"), .port = port};
}

ProbeSpec spec_of(const std::string& kind, bench::Options& options)
{
    if (kind == "tcp")
        return TcpSpec{.address = address_of(options)};
    if (kind == "postgres")
        return PostgresSpec{.address = address_of(options), .user = options.text("user", "probe")};
    bench::die("no such kind: " + kind);
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
    const auto spec = std::make_shared<const ProbeSpec>(spec_of(options.text("kind", "tcp"), options));
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
