// What does a Redis PING on a connection of its own cost with hiredis and nothing else? Its asynchronous
// interface, driven by epoll, on one thread.
//
//   --address=127.0.0.1 --port=16379   --count=10000 attempts to measure   --in-flight=32 at a time
#include "tests/bench/floor.hpp"

#include <hiredis/async.h>
#include <sys/epoll.h>

#include <array>
#include <memory>
#include <vector>

namespace {

using namespace bench;

class Prober {
public:
    Prober(std::string address, int port, Tally& tally)
        : address_{std::move(address)}, port_{port}, tally_{tally}
    {
    }

    void run(int in_flight)
    {
        for (int i = 0; i < in_flight; ++i)
            begin();
        std::array<epoll_event, 256> events{};
        while (!tally_.done()) {
            const int count = epoll_wait(epoll_, events.data(), events.size(), 5000);
            if (count <= 0)
                die("no answer for five seconds");
            for (int i = 0; i < count; ++i)
                static_cast<Watch*>(events[static_cast<std::size_t>(i)].data.ptr)
                    ->go_on(events[static_cast<std::size_t>(i)].events);
            ended_.clear();
        }
    }

private:
    // What hiredis wants to know of one socket; lives until the events of the round are done.
    struct Watch {
        Prober& prober;
        redisAsyncContext* context = nullptr;
        int socket = -1;
        std::uint32_t wanted = 0;

        void want(std::uint32_t events)
        {
            if (events == wanted)
                return;
            epoll_event interest{.events = events, .data = {.ptr = this}};
            epoll_ctl(prober.epoll_,
                      !events  ? EPOLL_CTL_DEL
                      : wanted ? EPOLL_CTL_MOD
                               : EPOLL_CTL_ADD,
                      socket, &interest);
            wanted = events;
        }
        void go_on(std::uint32_t events)
        {
            constexpr std::uint32_t trouble = EPOLLERR | EPOLLHUP;
            if (context && (wanted & EPOLLIN) && (events & (EPOLLIN | trouble)))
                redisAsyncHandleRead(context);
            if (context && (wanted & EPOLLOUT) && (events & (EPOLLOUT | trouble)))
                redisAsyncHandleWrite(context);
        }
        static Watch& of(void* self) { return *static_cast<Watch*>(self); }
    };

    static void on_cleanup(void* self)
    {
        auto& watch = Watch::of(self);
        watch.want(0);
        watch.context = nullptr;
        watch.prober.ended_.emplace_back(&watch);
    }

    static void on_reply(redisAsyncContext* context, void* reply, void* self)
    {
        auto& prober = *static_cast<Prober*>(self);
        const auto* status = static_cast<const redisReply*>(reply);
        const bool good =
            status && status->type == REDIS_REPLY_STATUS && std::string_view{status->str} == "PONG";
        if (status)
            redisAsyncDisconnect(context);
        prober.tally_.end(good);
        if (prober.tally_.may_begin())
            prober.begin();
    }

    void begin()
    {
        tally_.begin();
        auto* context = redisAsyncConnect(address_.c_str(), port_);
        if (!context || context->err)
            die("redisAsyncConnect");
        auto* watch = new Watch{*this, context, context->c.fd};
        auto& hooks = context->ev;
        hooks.data = watch;
        hooks.addRead = [](void* self) { Watch::of(self).want(Watch::of(self).wanted | EPOLLIN); };
        hooks.delRead = [](void* self) {
            Watch::of(self).want(Watch::of(self).wanted & ~std::uint32_t{EPOLLIN});
        };
        hooks.addWrite = [](void* self) { Watch::of(self).want(Watch::of(self).wanted | EPOLLOUT); };
        hooks.delWrite = [](void* self) {
            Watch::of(self).want(Watch::of(self).wanted & ~std::uint32_t{EPOLLOUT});
        };
        hooks.cleanup = &on_cleanup;
        redisAsyncCommand(context, &on_reply, this, "PING");
        watch->want(EPOLLOUT);
    }

    std::string address_;
    int port_;
    Tally& tally_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::vector<std::unique_ptr<Watch>> ended_{};
};

}  // namespace

int main(int argument_count, char** arguments)
{
    Options options{argument_count, arguments};
    const auto in_flight = static_cast<int>(options.number("in-flight", 32));
    const auto port = static_cast<int>(options.number("port", 16379));
    Tally tally{static_cast<long>(options.number("count", 10000)), in_flight};
    const auto address = options.text("address", "127.0.0.1");
    options.finish();
    Prober{address, port, tally}.run(in_flight);
    return tally.report();
}
