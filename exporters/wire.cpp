#include "exporters/wire.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>

namespace keepwell {

namespace {

using Step = ServerTls::Step;

[[noreturn]] void fail(const boost::system::error_code& error) { throw boost::system::system_error{error}; }

// True when the step was done, false when one has to wait.
bool is_done(Step step)
{
    if (step == Step::closed)
        fail(asio::error::eof);
    if (step == Step::failed)
        fail(asio::error::connection_aborted);
    return step == Step::done;
}

}  // namespace

Wire::Wire(Socket socket) : socket_{std::move(socket)} { socket_.non_blocking(true); }

asio::awaitable<void> Wire::wait(Step step)
{
    co_await socket_.async_wait(
        step == Step::wants_write ? asio::socket_base::wait_write : asio::socket_base::wait_read,
        asio::use_awaitable);
}

asio::awaitable<bool> Wire::start_tls(std::shared_ptr<const TlsServer> server, Worker& worker,
                                      std::string& failure)
{
    tls_ = std::make_unique<ServerTls>(std::move(server), socket_.native_handle());
    for (auto step = Step::wants_read; step != Step::done;) {
        co_await wait(step);
        co_await worker.run([this, &step] { step = tls_->handshake(); });
        if (step == Step::failed)
            failure = tls_->failure();
        if (step == Step::failed || step == Step::closed)
            co_return false;
    }
    co_return true;
}

std::size_t Wire::read(std::span<char> into)
{
    std::size_t count = 0;
    if (tls_)
        return is_done(tls_->read(into, count)) ? count : 0;
    boost::system::error_code error;
    count = socket_.read_some(asio::buffer(into.data(), into.size()), error);
    if (error && error != asio::error::would_block)
        fail(error);
    return count;
}

asio::awaitable<void> Wire::readable() { return wait(Step::wants_read); }

ServerTls::Step Wire::write_some(std::string_view first, std::string_view second, std::size_t& count)
{
    if (tls_)
        return tls_->write(first.empty() ? second : first, count);
    boost::system::error_code error;
    const std::array both{asio::buffer(first), asio::buffer(second)};
    count = socket_.write_some(both, error);
    if (error && error != asio::error::would_block)
        fail(error);
    return count > 0 ? Step::done : Step::wants_write;
}

asio::awaitable<void> Wire::write(std::string_view first, std::string_view second)
{
    while (!first.empty() || !second.empty()) {
        std::size_t count = 0;
        const auto step = write_some(first, second, count);
        if (!is_done(step))
            co_await wait(step);
        const auto of_first = std::min(count, first.size());
        first.remove_prefix(of_first);
        second.remove_prefix(count - of_first);
    }
}

asio::awaitable<void> Wire::write_plainly(std::string_view words)
{
    tls_.reset();
    co_await write(words);
    say_goodbye();
}

void Wire::say_goodbye()
{
    if (tls_)
        tls_->say_goodbye();
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

// The descriptor stays until its owner closes it: it may be in use by the worker, and would be another
// connection's next.
void Wire::end()
{
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
}

}  // namespace keepwell
