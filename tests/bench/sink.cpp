// How punctual is a prober? An HTTP server on every address of 127.0.0.0/8 that answers at once and notes
// when each address was asked: on accept for a new connection, on the request for a kept one.
//
//   --port=18081 --interval=1   how far apart, in seconds, one address should be asked
//
// SIGUSR1 begins a measurement; SIGUSR2 ends it and prints one line of JSON; SIGTERM ends the program. A gap
// error is how far two successive arrivals at one address are from the interval; drift is the mean of it,
// with its sign.
#include "tests/bench/floor.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <csignal>
#include <unordered_map>
#include <vector>

namespace {

using namespace bench;

class Arrivals {
public:
    explicit Arrivals(double interval) : interval_{interval} {}

    void begin()
    {
        measuring_ = true;
        count_ = 0;
        begin_ = Clock::now();
        errors_.clear();
        last_.clear();
    }

    void note(std::uint32_t address)
    {
        if (!measuring_)
            return;
        ++count_;
        const auto now = Clock::now();
        const auto [entry, first] = last_.try_emplace(address, now);
        if (!first)
            errors_.push_back(Seconds{now - entry->second}.count() - interval_);
        entry->second = now;
    }

    void print()
    {
        measuring_ = false;
        const double wall = Seconds{Clock::now() - begin_}.count();
        double sum = 0;
        for (auto& error : errors_) {
            sum += error;
            error = std::fabs(error);
        }
        std::ranges::sort(errors_);
        std::printf(
            "{\"arrivals\":%ld,\"per_second\":%.1f,\"targets\":%zu,\"gaps\":%zu,\"drift_ms\":%.4f,"
            "\"gap_p50_ms\":%.3f,\"gap_p99_ms\":%.3f,\"gap_p999_ms\":%.3f,\"gap_max_ms\":%.3f}\n",
            count_, static_cast<double>(count_) / wall, last_.size(), errors_.size(),
            errors_.empty() ? 0 : sum / static_cast<double>(errors_.size()) * 1e3, quantile(0.5),
            quantile(0.99), quantile(0.999), quantile(1));
        std::fflush(stdout);
    }

private:
    double quantile(double share) const
    {
        if (errors_.empty())
            return 0;
        const auto last = static_cast<double>(errors_.size() - 1);
        return errors_[static_cast<std::size_t>(share * last)] * 1e3;
    }

    double interval_;  // seconds
    bool measuring_ = false;
    long count_ = 0;
    Clock::time_point begin_{};
    std::vector<double> errors_{};  // seconds
    std::unordered_map<std::uint32_t, Clock::time_point> last_{};
};

struct Connection {
    std::uint32_t address = 0;
    bool noted = false;  // its first request, by the accept
};

class Sink {
public:
    Sink(in_port_t port, double interval) : arrivals_{interval}
    {
        const int one = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        const sockaddr_in any{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
        if (bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof any) || listen(listener_, 8192))
            die("listen");
        sigset_t signals{};
        for (const int each : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT})
            sigaddset(&signals, each);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
        watch(listener_);
        watch(signals_);
    }

    void run()
    {
        std::array<epoll_event, 512> events{};
        while (!stopped_) {
            const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i) {
                const int ready = events[static_cast<std::size_t>(i)].data.fd;
                if (ready == listener_)
                    accept_all();
                else if (ready == signals_)
                    obey();
                else
                    answer(ready);
            }
        }
    }

private:
    void watch(int descriptor)
    {
        epoll_event interest{.events = EPOLLIN, .data = {.fd = descriptor}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &interest);
    }

    void obey()
    {
        signalfd_siginfo signal{};
        if (read(signals_, &signal, sizeof signal) != sizeof signal)
            return;
        if (signal.ssi_signo == SIGUSR1)
            arrivals_.begin();
        else if (signal.ssi_signo == SIGUSR2)
            arrivals_.print();
        else
            stopped_ = true;
    }

    void accept_all()
    {
        for (int i = 0; i < 64; ++i) {
            const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (socket < 0)
                return;
            sockaddr_in own{};
            socklen_t length = sizeof own;
            getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length);
            if (connections_.size() <= static_cast<std::size_t>(socket))
                connections_.resize(static_cast<std::size_t>(socket) + 1);
            connections_[static_cast<std::size_t>(socket)] = {.address = own.sin_addr.s_addr, .noted = true};
            arrivals_.note(own.sin_addr.s_addr);
            watch(socket);
        }
    }

    void answer(int socket)
    {
        std::array<char, 4096> request{};
        const auto count = recv(socket, request.data(), request.size(), 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0) {
            close(socket);
            return;
        }
        auto& connection = connections_[static_cast<std::size_t>(socket)];
        if (!connection.noted)
            arrivals_.note(connection.address);
        connection.noted = false;
        constexpr std::string_view reply =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";
        if (send(socket, reply.data(), reply.size(), MSG_NOSIGNAL) < 0)
            close(socket);
    }

    Arrivals arrivals_;
    int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int signals_ = -1;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    bool stopped_ = false;
    std::vector<Connection> connections_{};
};

}  // namespace

int main(int argument_count, char** arguments)
{
    Options options{argument_count, arguments};
    const auto port = static_cast<in_port_t>(options.number("port", 18081));
    const auto interval = options.number("interval", 1);
    options.finish();
    Sink{port, interval}.run();
}
