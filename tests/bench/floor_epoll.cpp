// What does a probe cost at the very least? HTTP and Redis probes by bare system calls and epoll, on one
// thread: the floor under every prober.
//
//   --kind=http|redis   --port=18080   --path=/   --address=127.0.0.1
//   --count=10000       attempts to measure
//   --in-flight=32      at a time, as fast as they end
//   --targets=N --rate=N [--tick=SECONDS]  instead: N addresses in turn, at so many attempts per second
//   --connection=fresh|kept   --close=reset|normal
#include "tests/bench/floor.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <vector>

namespace {

using namespace bench;

struct Settings {
    std::string kind{};
    std::string request{};
    in_port_t port = 0;
    bool kept = false;
    bool reset = false;
};

struct Slot {
    sockaddr_in peer{};
    int socket = -1;
    bool busy = false;
    bool sent = false;
    std::string reply{};
};

enum class Answer { incomplete, good, bad };

Answer judge_http(std::string_view reply)
{
    const auto end = reply.find("\r\n\r\n");
    if (end == reply.npos)
        return Answer::incomplete;
    if (!reply.starts_with("HTTP/1.") || reply[9] != '2')
        return Answer::bad;
    const auto headers = reply.substr(0, end);
    if (headers.find("\r\nTransfer-Encoding: chunked") != headers.npos)
        return reply.ends_with("\r\n0\r\n\r\n") ? Answer::good : Answer::incomplete;
    constexpr std::string_view header = "\r\nContent-Length: ";
    std::size_t length = 0;
    if (const auto at = headers.find(header); at != headers.npos)
        std::from_chars(reply.data() + at + header.size(), reply.data() + end, length);
    return reply.size() >= end + 4 + length ? Answer::good : Answer::incomplete;
}

Answer judge_redis(std::string_view reply)
{
    if (!reply.ends_with("\r\n"))
        return Answer::incomplete;
    return reply == "+PONG\r\n" ? Answer::good : Answer::bad;
}

class Prober {
public:
    Prober(Settings settings, std::vector<Slot>& slots, Tally& tally, Pace pace)
        : settings_{std::move(settings)}, slots_{slots}, tally_{tally}, pace_{pace}
    {
        if (epoll_ < 0)
            die("epoll_create1");
    }

    void run()
    {
        std::array<epoll_event, 256> events{};
        while (!tally_.done()) {
            const timespec wait = begin_due();
            const int count = epoll_pwait2(epoll_, events.data(), events.size(), &wait, nullptr);
            if (count == 0 && wait.tv_sec >= 5)
                die("no answer for five seconds");
            for (int i = 0; i < count; ++i)
                go_on(*static_cast<Slot*>(events[static_cast<std::size_t>(i)].data.ptr));
        }
    }

private:
    // Begins what is due and tells how long to wait for the next.
    timespec begin_due()
    {
        if (pace_.rate == 0) {
            for (auto& slot : slots_)
                if (!slot.busy && tally_.may_begin())
                    begin(slot);
            return {5, 0};
        }
        const auto now = Clock::now();
        while (tally_.may_begin() && pace_.due(tally_.begun()) <= now) {
            auto& slot = slots_[static_cast<std::size_t>(tally_.begun()) % slots_.size()];
            if (slot.busy)
                return {1, 0};
            begin(slot);
        }
        if (!tally_.may_begin())
            return {5, 0};
        const auto left = std::max(Clock::duration::zero(), pace_.due(tally_.begun()) - Clock::now());
        return {0, std::chrono::nanoseconds{left}.count()};
    }

    void begin(Slot& slot)
    {
        tally_.begin();
        slot.busy = true;
        slot.sent = false;
        slot.reply.clear();
        if (slot.socket >= 0)
            return send_request(slot);
        slot.socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (slot.socket < 0)
            die("socket");
        if (connect(slot.socket, reinterpret_cast<sockaddr*>(&slot.peer), sizeof slot.peer) &&
            errno != EINPROGRESS)
            die("connect");
        epoll_event interest{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &slot}};
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.socket, &interest))
            die("epoll_ctl");
    }

    void send_request(Slot& slot)
    {
        const auto& request = settings_.request;
        const auto sent = send(slot.socket, request.data(), request.size(), MSG_NOSIGNAL);
        if (sent == static_cast<ssize_t>(request.size()))
            slot.sent = true;
        else if (sent >= 0 || errno != EAGAIN)
            end(slot, false);
    }

    void go_on(Slot& slot)
    {
        if (!slot.busy)
            return;
        if (!slot.sent)
            return send_request(slot);
        const auto answer = read_reply(slot);
        if (answer != Answer::incomplete)
            end(slot, answer == Answer::good);
    }

    // Reads until there is no more: an edge is told only once.
    Answer read_reply(Slot& slot)
    {
        std::array<char, 8192> buffer;
        for (;;) {
            const auto count = recv(slot.socket, buffer.data(), buffer.size(), 0);
            if (count <= 0)
                return count < 0 && errno == EAGAIN ? Answer::incomplete : Answer::bad;
            slot.reply.append(buffer.data(), static_cast<std::size_t>(count));
            const auto answer = settings_.kind == "redis" ? judge_redis(slot.reply) : judge_http(slot.reply);
            if (answer != Answer::incomplete)
                return answer;
        }
    }

    void end(Slot& slot, bool good)
    {
        if (!settings_.kept || !good) {
            const linger at_once{1, 0};
            if (settings_.reset)
                setsockopt(slot.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close(slot.socket);
            slot.socket = -1;
        }
        slot.busy = false;
        tally_.end(good);
        if (pace_.rate == 0 && tally_.may_begin())
            begin(slot);
    }

    Settings settings_;
    std::vector<Slot>& slots_;
    Tally& tally_;
    Pace pace_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
};

std::string http_request(const std::string& host, const std::string& path)
{
    return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: floor\r\nAccept: */*\r\n\r\n";
}

}  // namespace

int main(int argument_count, char** arguments)
{
    Options options{argument_count, arguments};
    const auto address = options.text("address", "127.0.0.1");
    const auto path = options.text("path", "/");
    const auto targets = static_cast<int>(options.number("targets", 0));
    const auto slot_count = targets > 0 ? targets : static_cast<int>(options.number("in-flight", 32));
    Settings settings{.kind = options.text("kind", "http"),
                      .port = static_cast<in_port_t>(options.number("port", 18080)),
                      .kept = options.text("connection", "fresh") == "kept",
                      .reset = options.text("close", "normal") == "reset"};
    settings.request = settings.kind == "redis" ? "PING\r\n" : http_request(address, path);
    Pace pace{.rate = options.number("rate", 0), .tick = options.number("tick", 0)};
    Tally tally{static_cast<long>(options.number("count", 10000)), slot_count};
    options.finish();

    std::vector<Slot> slots(static_cast<std::size_t>(slot_count));
    for (int i = 0; i < slot_count; ++i) {
        auto& peer = slots[static_cast<std::size_t>(i)].peer;
        peer.sin_family = AF_INET;
        peer.sin_port = htons(settings.port);
        inet_pton(AF_INET, (targets > 0 ? target_address(i) : address).c_str(), &peer.sin_addr);
    }
    pace.begin = Clock::now();
    Prober{std::move(settings), slots, tally, pace}.run();
    return tally.report();
}
