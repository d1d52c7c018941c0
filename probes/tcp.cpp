#include "probes/tcp.hpp"

namespace keepwell {

asio::awaitable<Verdict> probe(const TcpSpec& spec, Progress& progress)
{
    co_await connect(spec.address, progress);
    co_return ok();
}

}  // namespace keepwell
