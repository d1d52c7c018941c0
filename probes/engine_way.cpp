#include "probes/engine_way.hpp"

#include "probes/runner.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cstdlib>

namespace keepwell {

namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::string_view usual_host = "unix:///var/run/docker.sock";
constexpr std::size_t longest_socket = sizeof(sockaddr_un::sun_path) - 1;

std::string variable(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

// As docker's client takes them: certificates are used when their folder is given, and the server's is
// verified when DOCKER_TLS_VERIFY is not empty.
std::optional<TlsOptions> tls_of_environment()
{
    const bool verify = !variable("DOCKER_TLS_VERIFY").empty();
    auto folder = variable("DOCKER_CERT_PATH");
    if (folder.empty() && !verify)
        return std::nullopt;
    if (folder.empty())
        folder = variable("HOME") + "/.docker";
    return TlsOptions{.ca_file = folder + "/ca.pem",
                      .certificate_file = folder + "/cert.pem",
                      .key_file = folder + "/key.pem",
                      .insecure = !verify};
}

std::expected<EngineWay, std::string> by_socket(EngineWay way, std::string_view path)
{
    if (!path.starts_with('/') || path.size() > longest_socket || path.contains('\0'))
        return std::unexpected("expected the absolute path of a socket after unix://, at most 107 bytes");
    way.socket = path;
    way.tls.reset();
    return way;
}

std::expected<EngineWay, std::string> by_address(EngineWay way, std::string_view rest)
{
    if (rest.ends_with('/'))
        rest.remove_suffix(1);
    auto address = Address::parse(rest);
    if (!address && !rest.contains(':'))
        address = Address::parse(std::string{rest} + (way.tls ? ":2376" : ":2375"));
    if (!address)
        return std::unexpected(address.error());
    way.address = *std::move(address);
    return way;
}

std::expected<EngineWay, std::string> by_host(EngineWay way)
{
    const std::string host = way.host;  // which the way takes along
    const auto rest_after = [&](std::string_view scheme) {
        return std::string_view{host}.substr(scheme.size());
    };
    if (host.starts_with("unix://"))
        return by_socket(std::move(way), rest_after("unix://"));
    if (host.starts_with('/'))
        return by_socket(std::move(way), host);
    if (host.starts_with("tcp://"))
        return by_address(std::move(way), rest_after("tcp://"));
    if (host.starts_with("http://")) {
        way.tls.reset();
        return by_address(std::move(way), rest_after("http://"));
    }
    if (host.starts_with("https://")) {
        way.tls = way.tls.value_or(TlsOptions{});
        return by_address(std::move(way), rest_after("https://"));
    }
    return std::unexpected(
        "expected unix:///path, tcp://host:port or https://host:port (ssh:// and npipe:// are not spoken)");
}

// ---- a unix socket ----

std::string why_denied(const std::string& path)
{
    std::string why = "permission denied: keepwell runs as uid " + std::to_string(::geteuid());
    struct stat about{};
    if (::stat(path.c_str(), &about) == 0)
        why += ", the socket belongs to group " + std::to_string(about.st_gid) +
               " (in Compose: `group_add: [\"" + std::to_string(about.st_gid) + "\"]`)";
    return why;
}

Verdict why_no_socket(const std::string& path, int error)
{
    switch (error) {
        case ENOENT:
        case ENOTDIR:
            return no_response(Reason::unreachable, "there is no socket " + path + ": is it mounted?");
        case EACCES:
        case EPERM: return not_attempted(Reason::permission_denied, why_denied(path));
        case ECONNREFUSED:
            return no_response(Reason::connection_refused,
                               "nobody listens on " + path + ": is the engine running?");
        default: return verdict_of({error, boost::system::system_category()});
    }
}

int try_to_connect(int fd, const std::string& path)
{
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, longest_socket);
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

// A unix socket connects at once, or not at all: EAGAIN says that the queue of its listener is full, and
// gives nothing to wait for (unix(7)). Asio's TCP socket carries it as well: both are streams.
asio::awaitable<Stream> reach_socket(std::string path)
{
    const auto executor = co_await asio::this_coro::executor;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        throw boost::system::system_error{errno, boost::system::system_category()};
    tcp::socket socket{executor};
    socket.assign(tcp::v4(), fd);
    for (;;) {
        const int error = try_to_connect(fd, path);
        if (error == 0)
            co_return Stream{std::move(socket)};
        if (error != EAGAIN && error != EINTR)
            throw Failure{why_no_socket(path, error)};
        asio::steady_timer soon{executor, 20ms};
        co_await soon.async_wait(asio::use_awaitable);
    }
}

// A peer that has vanished is noticed even on a stream on which nothing is said for hours.
void keep_alive(Stream& stream)
{
    const auto set = [fd = stream.socket().native_handle()](int level, int name, int value) {
        ::setsockopt(fd, level, name, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

std::expected<EngineWay, std::string> way_of(const EngineOptions& options)
{
    EngineWay way{.host = options.host, .tls = options.tls};
    const auto fault_in = [&](const std::string& where, const std::string& words) {
        return std::unexpected(where + ": " + words);
    };
    if (!options.host.empty()) {
        auto found = by_host(std::move(way));
        return found ? found : fault_in("host", found.error());
    }
    way.host = variable("DOCKER_HOST");
    if (way.host.empty())
        way.host = usual_host;
    else if (!way.tls)
        way.tls = tls_of_environment();
    auto found = by_host(std::move(way));
    return found ? found : fault_in("DOCKER_HOST", found.error());
}

asio::awaitable<Stream> reach(EngineWay way)
{
    if (!way.socket.empty())
        co_return co_await reach_socket(way.socket);
    Progress progress;
    Stream stream = co_await connect(way.address, progress);
    keep_alive(stream);
    if (way.tls)
        co_await start_tls(stream, *way.tls, way.address.host, progress);
    co_return stream;
}

}  // namespace keepwell
