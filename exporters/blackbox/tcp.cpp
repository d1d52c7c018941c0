#include "exporters/blackbox/conversation.hpp"
#include "exporters/blackbox/lookup.hpp"
#include "probes/dial.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

namespace keepwell::blackbox {

namespace {

std::optional<std::uint16_t> port_of(const std::string& text)
{
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{port} : std::nullopt;
}

std::optional<asio::ip::address> source_of(const std::string& text)
{
    boost::system::error_code bad;
    const auto address = asio::ip::make_address(text, bad);
    return bad ? std::nullopt : std::optional{address};
}

void begin(Sheet& sheet)
{
    sheet.set(gauge::failed_regex, 0);
    sheet.set(gauge::failed_bytes, 0);
}

// Connects at once or not at all, unix(7). Once connected, it is read and written as any other.
Stream connect_to(const std::string& path, const asio::any_io_executor& executor)
{
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.size() >= sizeof address.sun_path)
        throw Failure{not_attempted(Reason::bad_configuration, "the path of a socket has at most 107 bytes")};
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const boost::system::error_code error{errno, boost::system::system_category()};
        ::close(fd);
        throw Failure{no_response(Reason::connection_refused, error.message())};
    }
    return Stream{asio::ip::tcp::socket{executor, asio::ip::tcp::v4(), fd}};
}

}  // namespace

asio::awaitable<bool> probe_tcp(SharedAttempt attempt)
{
    const auto& module = attempt->module().tcp;
    begin(attempt->sheet);
    const auto target = split_port(attempt->target());
    const auto port = target ? port_of(target->second) : std::nullopt;
    if (!port)
        co_return attempt->fail("the target is not host:port");
    const auto address =
        co_await look_up(target->first, module.preferred_ip_protocol, module.ip_protocol_fallback, attempt);
    if (!address)
        co_return false;
    Stream stream{co_await dial({*address, *port}, source_of(module.source_ip_address))};
    attempt->info("connected", {{"tls", module.tls ? "true" : "false"}});
    const Conversation conversation{.steps = module.query_response,
                                    .tls_config = module.tls_config,
                                    .server = target->first,
                                    .begins_with_tls = module.tls};
    const bool success = co_await converse(conversation, stream, attempt);
    stream.close_gently();
    co_return success;
}

asio::awaitable<bool> probe_unix(SharedAttempt attempt)
{
    const auto& module = attempt->module().unix_socket;
    begin(attempt->sheet);
    const auto executor = co_await asio::this_coro::executor;
    auto stream = connect_to(attempt->target(), executor);
    attempt->info("connected");
    const Conversation conversation{.steps = module.query_response,
                                    .tls_config = module.tls_config,
                                    .server = module.tls_config.server_name,
                                    .begins_with_tls = module.tls};
    co_return co_await converse(conversation, stream, attempt);
}

}  // namespace keepwell::blackbox
