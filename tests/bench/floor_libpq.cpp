// What does a PostgreSQL readiness check cost with libpq and nothing else? Connects without a password,
// driven by epoll, and stops at the server's first answer: let in, asked for a password, or refused with a
// reason.
//
//   --address=127.0.0.1 --port=15432 --user=postgres   --count=1000 attempts to measure   --in-flight=32 at a
//   time
#include "tests/bench/floor.hpp"

#include <libpq-fe.h>
#include <sys/epoll.h>

#include <array>
#include <vector>

namespace {

using namespace bench;

struct Slot {
    PGconn* connection = nullptr;
    int socket = -1;
    std::uint32_t wanted = 0;
};

class Prober {
public:
    Prober(std::string target, Tally& tally) : target_{std::move(target)}, tally_{tally} {}

    void run(int in_flight)
    {
        std::vector<Slot> slots(static_cast<std::size_t>(in_flight));
        for (auto& slot : slots)
            begin(slot);
        std::array<epoll_event, 64> events{};
        while (!tally_.done()) {
            const int count = epoll_wait(epoll_, events.data(), events.size(), 5000);
            if (count <= 0)
                die("no answer for five seconds");
            for (int i = 0; i < count; ++i)
                go_on(*static_cast<Slot*>(events[static_cast<std::size_t>(i)].data.ptr));
        }
    }

private:
    void begin(Slot& slot)
    {
        if (!tally_.may_begin())
            return;
        tally_.begin();
        slot = {.connection = PQconnectStart(target_.c_str())};
        if (PQstatus(slot.connection) == CONNECTION_BAD)
            die(PQerrorMessage(slot.connection));
        want(slot, EPOLLOUT);
    }

    void want(Slot& slot, std::uint32_t events)
    {
        const int socket = PQsocket(slot.connection);
        if (socket == slot.socket && events == slot.wanted)
            return;
        epoll_event interest{.events = events, .data = {.ptr = &slot}};
        epoll_ctl(epoll_, socket == slot.socket ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &interest);
        slot.socket = socket;
        slot.wanted = events;
    }

    void go_on(Slot& slot)
    {
        if (!slot.connection)
            return;
        const auto next = PQconnectPoll(slot.connection);
        const auto status = PQstatus(slot.connection);
        const bool answered = PQconnectionNeedsPassword(slot.connection) || status == CONNECTION_AUTH_OK ||
                              status == CONNECTION_OK;
        if (!answered && next == PGRES_POLLING_READING)
            return want(slot, EPOLLIN);
        if (!answered && next == PGRES_POLLING_WRITING)
            return want(slot, EPOLLOUT);
        if (!answered)
            std::fprintf(stderr, "%s", PQerrorMessage(slot.connection));
        PQfinish(slot.connection);
        slot.connection = nullptr;
        tally_.end(answered);
        begin(slot);
    }

    std::string target_;
    Tally& tally_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
};

}  // namespace

int main(int argument_count, char** arguments)
{
    Options options{argument_count, arguments};
    const auto in_flight = static_cast<int>(options.number("in-flight", 32));
    Tally tally{static_cast<long>(options.number("count", 1000)), in_flight};
    const auto target =
        "hostaddr=" + options.text("address", "127.0.0.1") + " port=" + options.text("port", "15432") +
        " user=" + options.text("user", "postgres") + " dbname=postgres sslmode=disable gssencmode=disable";
    options.finish();
    Prober{target, tally}.run(in_flight);
    return tally.report();
}
