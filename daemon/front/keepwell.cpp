// The `keepwell` command. It answers `keepwell healthcheck` itself, and hands everything else to keepwelld: a
// process with all of the daemon's libraries takes ten milliseconds to start, this one half a millisecond,
// and a container's health check starts it again and again. Needs nothing but the C library.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

constexpr int exit_usage = 100;
constexpr int exit_system = 111;
constexpr const char* default_socket = "/run/keepwell/keepwell.sock";
constexpr const char* default_url = "http://127.0.0.1:5337";
constexpr std::size_t most_reply_bytes = 64 << 10;

constexpr const char* usage =
    "usage: keepwell healthcheck [SERVICE] [--all] [--url URL] [--timeout SECONDS]\n"
    "\n"
    "Asks the running keepwell how SERVICE is: exit code 0 when it is healthy (or in maintenance), 1 when it "
    "is not\n"
    "or keepwell does not answer. Without SERVICE keepwell itself is asked, with --all the whole stack.\n"
    "\n"
    "  --url URL          where keepwell listens: unix:/run/keepwell/keepwell.sock or http://host:port\n"
    "                     (default: $KEEPWELL_URL, else the unix socket if there is one, else "
    "http://127.0.0.1:5337)\n"
    "  --timeout SECONDS  wait that long for the answer (default 3)\n"
    "\n"
    "In a Compose file:\n"
    "  healthcheck: {test: [\"CMD\", \"keepwell\", \"healthcheck\", \"api\"]}\n";

struct Options {
    std::string service{};
    std::string url{};
    double timeout_seconds = 3;
    bool all = false;
};

double now_seconds()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void fail(int code, const std::string& message)
{
    std::fprintf(stderr, "keepwell: %s\n", message.c_str());
    std::exit(code);
}

bool wait_for(int fd, short events, double deadline)
{
    for (;;) {
        const double left = deadline - now_seconds();
        if (left <= 0)
            return false;
        pollfd waiting{fd, events, 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(left * 1000) + 1);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

int connected(int fd, const sockaddr* address, socklen_t size, double deadline)
{
    if (fd < 0)
        return -1;
    int error = 0;
    if (::connect(fd, address, size) != 0) {
        socklen_t length = sizeof error;
        if (errno != EINPROGRESS)
            error = errno;
        else if (!wait_for(fd, POLLOUT, deadline))
            error = ETIMEDOUT;
        else
            ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error) {
        ::close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int connect_unix(const std::string& path, double deadline)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        fail(exit_usage, "the path of a unix socket has at most 107 bytes: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return connected(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                     reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
}

// Numeric addresses cost nothing; a name goes through getaddrinfo(3), whose own timeouts then apply.
int connect_tcp(std::string host, const std::string& port, double deadline)
{
    if (host.size() > 1 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found))
        fail(1, host + ": " + ::gai_strerror(error));
    int fd = -1;
    for (const auto* each = found; each && fd < 0; each = each->ai_next)
        fd = connected(::socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                       each->ai_addr, each->ai_addrlen, deadline);
    const int error = errno;
    ::freeaddrinfo(found);
    errno = error;
    return fd;
}

int connect_url(const std::string& url, double deadline)
{
    if (url.rfind("unix:", 0) == 0)
        return connect_unix(url.substr(5), deadline);
    if (url.rfind("http://", 0) != 0)
        fail(exit_usage, "the URL must begin with unix: or http://, not \"" + url + "\"");
    auto authority = url.substr(7, url.find('/', 7) - 7);
    const auto colon = authority.rfind(':');
    const bool has_port = colon != std::string::npos && authority.find(']', colon) == std::string::npos;
    return connect_tcp(has_port ? authority.substr(0, colon) : authority,
                       has_port ? authority.substr(colon + 1) : "80", deadline);
}

std::string percent_encoded(const std::string& text)
{
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '_' || c == '.';
        char hex[4];
        std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
        encoded += plain ? std::string(1, c) : std::string{hex};
    }
    return encoded;
}

std::string exchange(int fd, const std::string& request, double deadline)
{
    std::size_t sent = 0;
    while (sent < request.size()) {
        const auto count = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
        if (count > 0)
            sent += static_cast<std::size_t>(count);
        else if (!wait_for(fd, POLLOUT, deadline))
            return {};
    }
    std::string reply;
    char bytes[4096];
    while (reply.size() < most_reply_bytes) {
        const auto count = ::recv(fd, bytes, sizeof bytes, 0);
        if (count > 0)
            reply.append(bytes, static_cast<std::size_t>(count));
        else if (count == 0)
            return reply;
        else if (errno != EAGAIN && errno != EINTR)
            return {};
        else if (!wait_for(fd, POLLIN, deadline))
            return {};
    }
    return reply;
}

Options parse(int argc, char** argv)
{
    Options options;
    for (int i = 2; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&](const char* name) -> std::string {
            const std::string prefix = std::string{name} + "=";
            if (word.rfind(prefix, 0) == 0)
                return word.substr(prefix.size());
            if (i + 1 >= argc)
                fail(exit_usage, std::string{name} + " needs a value");
            return argv[++i];
        };
        if (word == "-h" || word == "--help") {
            std::fputs(usage, stdout);
            std::exit(0);
        } else if (word == "--all") {
            options.all = true;
        } else if (word.rfind("--url", 0) == 0) {
            options.url = value("--url");
        } else if (word.rfind("--timeout", 0) == 0) {
            char* end = nullptr;
            const auto text = value("--timeout");
            options.timeout_seconds = std::strtod(text.c_str(), &end);
            if (end && *end == 's')
                ++end;
            if (!end || *end || !(options.timeout_seconds > 0 && options.timeout_seconds <= 3600))
                fail(exit_usage, "--timeout takes seconds between 0 and 3600, not \"" + text + "\"");
        } else if (word.rfind('-', 0) == 0 || !options.service.empty()) {
            std::fputs(usage, stderr);
            fail(exit_usage, "unexpected argument \"" + word + "\"");
        } else {
            options.service = word;
        }
    }
    if (options.all && !options.service.empty())
        fail(exit_usage, "give a service or --all, not both");
    return options;
}

std::string url_of(const Options& options)
{
    if (!options.url.empty())
        return options.url;
    if (const char* given = std::getenv("KEEPWELL_URL"); given && *given)
        return given;
    return ::access(default_socket, F_OK) == 0 ? std::string{"unix:"} + default_socket : default_url;
}

int healthcheck(const Options& options)
{
    const double deadline = now_seconds() + options.timeout_seconds;
    const auto url = url_of(options);
    const int fd = connect_url(url, deadline);
    if (fd < 0)
        fail(1, "keepwell does not answer at " + url + ": " + std::strerror(errno));
    const auto path = options.all               ? std::string{"/health"}
                      : options.service.empty() ? std::string{"/-/healthy"}
                                                : "/health/" + percent_encoded(options.service);
    const auto reply =
        exchange(fd, "GET " + path + " HTTP/1.1\r\nHost: keepwell\r\nConnection: close\r\n\r\n", deadline);
    ::close(fd);
    const auto body = reply.find("\r\n\r\n");
    if (reply.rfind("HTTP/1.", 0) != 0 || reply.size() < 12 || body == std::string::npos)
        fail(1, "no answer from keepwell at " + url + " within " + std::to_string(options.timeout_seconds) +
                    " s");
    std::fputs(reply.c_str() + body + 4, stdout);
    return reply.compare(9, 3, "200") == 0 ? 0 : 1;
}

// Beside this program in a build tree, under ../libexec once installed.
[[noreturn]] void become_daemon(char** argv)
{
    char self[PATH_MAX];
    const auto length = ::readlink("/proc/self/exe", self, sizeof self - 1);
    const std::string program{self, length > 0 ? static_cast<std::size_t>(length) : 0};
    const auto directory = program.substr(0, program.rfind('/'));
    for (const auto& candidate : {directory + "/keepwelld", directory + "/../libexec/keepwell/keepwelld",
                                  std::string{KEEPWELL_LIBEXEC "/keepwelld"}})
        if (::access(candidate.c_str(), X_OK) == 0) {
            ::execv(candidate.c_str(), argv);
            fail(exit_system, candidate + ": " + std::strerror(errno));
        }
    fail(exit_system, "keepwelld is not installed: looked in " + directory + ", " + directory +
                          "/../libexec/keepwell and " KEEPWELL_LIBEXEC);
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc > 1 && std::strcmp(argv[1], "healthcheck") == 0)
        return healthcheck(parse(argc, argv));
    become_daemon(argv);
}
