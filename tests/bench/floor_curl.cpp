// What does an HTTP probe cost with libcurl and nothing else? Its multi interface, driven by epoll, on one
// thread.
//
//   --url=http://127.0.0.1:18080/   with --targets only its port and path are used
//   --count=10000       attempts to measure
//   --in-flight=32      at a time, as fast as they end
//   --targets=N --rate=N [--tick=SECONDS]  instead: N addresses in turn, at so many attempts per second
//   --connection=fresh|reused   --close=reset|normal
//   --per-multi=100     easy handles to a multi handle: connections are searched linearly, so few of them
//   each
#include "tests/bench/floor.hpp"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

namespace {

using namespace bench;

struct Settings {
    std::string url{};
    bool fresh = true;
    bool reset = false;
    std::size_t per_multi = 100;
};

std::size_t discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

int close_by_reset(void*, curl_socket_t socket)
{
    const linger at_once{1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return close(socket);
}

// One multi handle in the common epoll set, and the time-out it asked for.
struct Multi {
    CURLM* handle = curl_multi_init();
    int epoll = -1;
    std::uint32_t index = 0;
    Clock::time_point due = Clock::time_point::max();

    static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void* known)
    {
        auto& multi = *static_cast<Multi*>(self);
        if (what == CURL_POLL_REMOVE)
            return epoll_ctl(multi.epoll, EPOLL_CTL_DEL, socket, nullptr), 0;
        epoll_event interest{};
        interest.events = (what & CURL_POLL_IN ? std::uint32_t{EPOLLIN} : 0) |
                          (what & CURL_POLL_OUT ? std::uint32_t{EPOLLOUT} : 0);
        interest.data.u64 = std::uint64_t{multi.index} << 32 | static_cast<std::uint32_t>(socket);
        if (epoll_ctl(multi.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &interest))
            die("epoll_ctl");
        if (!known)
            curl_multi_assign(multi.handle, socket, self);
        return 0;
    }
    static int on_timer(CURLM*, long milliseconds, void* self)
    {
        static_cast<Multi*>(self)->due = milliseconds < 0
                                             ? Clock::time_point::max()
                                             : Clock::now() + std::chrono::milliseconds{milliseconds};
        return 0;
    }
};

class Prober {
public:
    Prober(const Settings& settings, int targets, std::size_t slots, Tally& tally, Pace pace)
        : tally_{tally}, pace_{pace}, multis_((slots + settings.per_multi - 1) / settings.per_multi)
    {
        for (std::size_t i = 0; i < multis_.size(); ++i)
            set_up(multis_[i], static_cast<std::uint32_t>(i), settings);
        for (std::size_t i = 0; i < slots; ++i)
            easies_.push_back(
                make(settings, targets > 0 ? target_url(settings.url, static_cast<int>(i)) : settings.url));
        idle_.assign(slots, true);
    }

    void run()
    {
        pace_.begin = Clock::now();
        std::array<epoll_event, 256> events{};
        while (!tally_.done()) {
            begin_due();
            run_timers();
            const auto wait = time_left();
            const int count = epoll_pwait2(epoll_, events.data(), events.size(), &wait, nullptr);
            for (int i = 0; i < count; ++i)
                go_on(events[static_cast<std::size_t>(i)]);
        }
    }

private:
    void set_up(Multi& multi, std::uint32_t index, const Settings& settings)
    {
        multi.epoll = epoll_;
        multi.index = index;
        curl_multi_setopt(multi.handle, CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
        curl_multi_setopt(multi.handle, CURLMOPT_SOCKETDATA, &multi);
        curl_multi_setopt(multi.handle, CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
        curl_multi_setopt(multi.handle, CURLMOPT_TIMERDATA, &multi);
        curl_multi_setopt(multi.handle, CURLMOPT_MAXCONNECTS, static_cast<long>(settings.per_multi) + 1);
    }

    static std::string target_url(const std::string& url, int index)
    {
        return "http://" + target_address(index) + url.substr(url.find(':', 7));
    }

    CURL* make(const Settings& settings, const std::string& url)
    {
        CURL* easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_PRIVATE, easies_.size());
        curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &discard);
        curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 5000L);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, settings.fresh ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, settings.fresh ? 1L : 0L);
        if (settings.reset)
            curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &close_by_reset);
        return easy;
    }

    Multi& multi_of(std::size_t slot) { return multis_[slot % multis_.size()]; }

    void begin(std::size_t slot)
    {
        tally_.begin();
        idle_[slot] = false;
        curl_multi_add_handle(multi_of(slot).handle, easies_[slot]);
    }

    bool may_begin_next() const
    {
        return tally_.may_begin() && idle_[static_cast<std::size_t>(tally_.begun()) % idle_.size()];
    }

    void begin_due()
    {
        const auto now = Clock::now();
        if (pace_.rate > 0)
            while (may_begin_next() && pace_.due(tally_.begun()) <= now)
                begin(static_cast<std::size_t>(tally_.begun()) % idle_.size());
        else if (tally_.begun() == 0)
            while (tally_.may_begin() && static_cast<std::size_t>(tally_.begun()) < idle_.size())
                begin(static_cast<std::size_t>(tally_.begun()));
    }

    // Until the next attempt or time-out is due.
    timespec time_left() const
    {
        auto until = Clock::now() + std::chrono::milliseconds{500};
        if (pace_.rate > 0 && may_begin_next())
            until = std::min(until, pace_.due(tally_.begun()));
        for (const auto& multi : multis_)
            until = std::min(until, multi.due);
        const auto left = std::max(Clock::duration::zero(), until - Clock::now());
        return {0, std::chrono::nanoseconds{left}.count()};
    }

    void go_on(const epoll_event& event)
    {
        auto& multi = multis_[event.data.u64 >> 32];
        const int what = (event.events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                         (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                         (event.events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        int running = 0;
        curl_multi_socket_action(multi.handle, static_cast<int>(event.data.u64 & 0xffffffff), what, &running);
        reap(multi);
    }

    void run_timers()
    {
        const auto now = Clock::now();
        for (auto& multi : multis_) {
            if (multi.due > now)
                continue;
            multi.due = Clock::time_point::max();
            int running = 0;
            curl_multi_socket_action(multi.handle, CURL_SOCKET_TIMEOUT, 0, &running);
            reap(multi);
        }
    }

    void reap(Multi& multi)
    {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.handle, &left)) {
            CURL* easy = message->easy_handle;
            const bool answered = message->data.result == CURLE_OK;
            std::size_t slot = 0;
            long status = 0;
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            read_times(easy);
            curl_multi_remove_handle(multi.handle, easy);
            idle_[slot] = true;
            tally_.end(answered && status / 100 == 2);
            if (pace_.rate == 0 && tally_.may_begin())
                begin(slot);
        }
    }

    // As every prober that reports phases does.
    static void read_times(CURL* easy)
    {
        curl_off_t time = 0;
        for (const auto which :
             {CURLINFO_NAMELOOKUP_TIME_T, CURLINFO_CONNECT_TIME_T, CURLINFO_APPCONNECT_TIME_T,
              CURLINFO_PRETRANSFER_TIME_T, CURLINFO_STARTTRANSFER_TIME_T, CURLINFO_TOTAL_TIME_T})
            curl_easy_getinfo(easy, which, &time);
    }

    Tally& tally_;
    Pace pace_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::vector<Multi> multis_;
    std::vector<CURL*> easies_{};
    std::vector<bool> idle_{};
};

}  // namespace

int main(int argument_count, char** arguments)
{
    Options options{argument_count, arguments};
    const auto targets = static_cast<int>(options.number("targets", 0));
    const auto slots = targets > 0 ? targets : static_cast<int>(options.number("in-flight", 32));
    const Settings settings{.url = options.text("url", "http://127.0.0.1:18080/"),
                            .fresh = options.text("connection", "fresh") == "fresh",
                            .reset = options.text("close", "normal") == "reset",
                            .per_multi = static_cast<std::size_t>(options.number("per-multi", 100))};
    const Pace pace{.rate = options.number("rate", 0), .tick = options.number("tick", 0)};
    Tally tally{static_cast<long>(options.number("count", 10000)), slots};
    options.finish();

    curl_global_init(CURL_GLOBAL_DEFAULT);
    Prober{settings, targets, static_cast<std::size_t>(slots), tally, pace}.run();
    return tally.report();
}
