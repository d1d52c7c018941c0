// Whatever bytes a client sends, the server answers or closes: no crash, no hang, no leak.
#include "tests/unit/stacks.hpp"

#include "exporters/server.hpp"

#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <cstdlib>

using namespace keepwell;
using namespace keepwell::test;

namespace {

struct World {
    asio::io_context loop{1};
    Metrics metrics{};
    History history{};
    Page page{loop, history};
    Watcher watcher;
    Api api;
    Server server;

    World()
        : watcher{loop, monitor(), {}},
          api{watcher,
              metrics,
              history,
              page,
              [] { return std::expected<void, std::string>{}; },
              [](const std::string&) {},
              [] { return DaemonFigures{}; }},
          server{loop, api}
    {
        metrics.attach(watcher.monitor());
        history.attach(watcher.monitor());
        page.attach(watcher.monitor());
    }
    std::unique_ptr<Monitor> monitor()
    {
        StackSpec spec;
        spec.services = {service("db")};
        return std::make_unique<Monitor>(Stack{spec}, std::vector<Sink*>{&metrics, &history, &page},
                                         Clock::now(), 1);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static World world;
    asio::local::stream_protocol::socket ours{world.loop};
    asio::local::stream_protocol::socket theirs{world.loop};
    asio::local::connect_pair(ours, theirs);
    world.server.serve(asio::generic::stream_protocol::socket{std::move(theirs)}, {.local = true});
    ours.non_blocking(true);
    boost::system::error_code error;
    ours.write_some(asio::buffer(data, std::min(size, std::size_t{64} << 10)), error);
    ours.shutdown(asio::socket_base::shutdown_send, error);
    world.loop.restart();
    const auto until = Clock::now() + 2s;
    std::string reply(65536, '\0');
    while (world.loop.run_one_until(until) > 0 && Clock::now() < until) {
        ours.read_some(asio::buffer(reply), error);  // makes room for the next part of the answer
        if (error == asio::error::eof)
            break;
    }
    if (Clock::now() >= until)
        std::abort();  // neither answered nor closed
    ours.close();
    world.loop.poll();
    return 0;
}
