#include "probes/child.hpp"

#include "probes/environment.hpp"
#include "probes/printable.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <set>

namespace keepwell {

namespace {

using namespace std::chrono_literals;
using Descriptor = asio::posix::stream_descriptor;

constexpr std::size_t kept_bytes = 4096;
constexpr std::size_t margin_bytes = 4096;  // a secret at the edge of what is kept is recognised all the same

// A program that prints without end gets 200 MB/s of us, not all of the loop.
constexpr std::size_t flood_bytes = 1 << 20;
constexpr auto flood_pause = 5ms;

// The children that are not orphans. The kernel's table is the process's, and so is this one.
std::set<pid_t>& living()
{
    static std::set<pid_t> pids;
    return pids;
}

}  // namespace

std::string to_string(const Ending& ending)
{
    if (ending.signal == 0)
        return "exit code " + std::to_string(ending.exit_code);
    const char* name = ::sigabbrev_np(ending.signal);
    return "killed by " + (name ? "SIG" + std::string{name} : "signal " + std::to_string(ending.signal));
}

void reap_orphans()
{
    int subreaper = 0;
    if (::getpid() != 1 && (::prctl(PR_GET_CHILD_SUBREAPER, &subreaper) != 0 || subreaper == 0))
        return;
    for (;;) {
        siginfo_t ended{};
        if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0)
            return;
        if (living().contains(ended.si_pid))
            return;  // its Child will reap it, and call again
        ::waitpid(ended.si_pid, nullptr, WNOHANG);
    }
}

// The process itself, until it is reaped.
class Child::Process {
public:
    Process(const asio::any_io_executor& executor, pid_t pid) : pid_{pid}, pidfd_{executor}
    {
        living().insert(pid_);
        const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        const int error = errno;
        boost::system::error_code failed;
        if (fd >= 0)
            pidfd_.assign(fd, failed);
        if (fd >= 0 && !failed)
            return;
        if (fd >= 0)
            ::close(fd);
        kill_group(SIGKILL);
        reap(0);
        living().erase(pid_);
        cannot_start("pidfd_open", failed ? failed.value() : error);
    }
    // When the loop itself goes away there is nobody to wait for the end, so this waits, briefly.
    ~Process()
    {
        if (!ending_) {
            kill_group(SIGKILL);
            ::pollfd end{.fd = pidfd_.native_handle(), .events = POLLIN, .revents = 0};
            ::poll(&end, 1, 1000);
            reap(WNOHANG);
        }
        living().erase(pid_);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    Descriptor& pidfd() { return pidfd_; }
    const std::optional<Ending>& ending() const { return ending_; }

    // Only before it is reaped is the group's number certainly its own.
    void kill_group(int signal) noexcept
    {
        if (!ending_)
            ::kill(-pid_, signal);
    }
    void reap(int flags)
    {
        int status = 0;
        pid_t got = 0;
        do
            got = ending_ ? 0 : ::waitpid(pid_, &status, flags);
        while (got < 0 && errno == EINTR);
        if (got == pid_)
            ending_ = WIFSIGNALED(status) ? Ending{.signal = WTERMSIG(status)}
                                          : Ending{.exit_code = WEXITSTATUS(status)};
        else if (got < 0)
            ending_ = Ending{.exit_code = -1};  // someone else reaped it: nothing better is known
    }

private:
    pid_t pid_;
    Descriptor pidfd_;
    std::optional<Ending> ending_{};
};

// Reads the program's output as it comes and keeps the end of it.
class Child::Capture : public std::enable_shared_from_this<Capture> {
public:
    Capture(const asio::any_io_executor& executor, std::map<std::string, std::string> environment,
            OnOutput on_output)
        : pipe_{executor},
          pause_{executor},
          environment_{std::move(environment)},
          on_output_{std::move(on_output)}
    {
    }

    boost::system::error_code take_over(int fd)
    {
        boost::system::error_code failed;
        pipe_.assign(fd, failed);
        if (failed)
            ::close(fd);
        return failed;
    }
    void read_on()
    {
        pipe_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
            if (!error)
                self->came();
        });
    }
    // What has been written by now. What someone writes without end is not waited for.
    void take_rest()
    {
        if (pipe_.is_open() && take() == Left::never)
            pipe_.close();
    }
    void stop()
    {
        forget_listener();
        boost::system::error_code ignored;
        pipe_.close(ignored);
        pause_.cancel();
    }
    void forget_listener() { on_output_ = {}; }
    bool is_open() const { return pipe_.is_open(); }
    std::string text() const { return last_of(without_secrets(printable(tail_), environment_), kept_bytes); }

private:
    // What may still come from the pipe.
    enum class Left { nothing_now, more, never };

    void came()
    {
        if (!pipe_.is_open())
            return;
        const auto left = take();
        if (left == Left::never)
            pipe_.close();
        else if (left == Left::nothing_now && since_pause_ < flood_bytes)
            read_on();
        else
            pause();
    }

    void pause()
    {
        since_pause_ = 0;
        pause_.expires_after(flood_pause);
        pause_.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (!error && self->pipe_.is_open())
                self->read_on();
        });
    }

    // Reads what is there, but no flood at once; tells the listener.
    Left take()
    {
        std::array<char, 65536> buffer;
        auto left = Left::more;
        std::size_t taken = 0;
        while (left == Left::more && taken < flood_bytes) {
            const auto count = ::read(pipe_.native_handle(), buffer.data(), buffer.size());
            if (count > 0) {
                keep({buffer.data(), static_cast<std::size_t>(count)});
                taken += static_cast<std::size_t>(count);
            } else if (count == 0 || errno != EINTR) {
                left = count < 0 && errno == EAGAIN ? Left::nothing_now : Left::never;
            }
        }
        since_pause_ += taken;
        if (taken > 0 && on_output_)
            on_output_(text());
        return left;
    }

    void keep(std::string_view bytes)
    {
        constexpr auto most = kept_bytes + margin_bytes;
        if (bytes.size() > most)
            bytes.remove_prefix(bytes.size() - most);
        if (tail_.size() + bytes.size() > most)
            tail_.erase(0, tail_.size() + bytes.size() - most);
        tail_ += bytes;
    }

    Descriptor pipe_;
    asio::steady_timer pause_;
    std::map<std::string, std::string> environment_;
    OnOutput on_output_;
    std::string tail_{};
    std::size_t since_pause_ = 0;
};

Child::Child(const asio::any_io_executor& executor, const Program& program, OnOutput on_output)
{
    reap_orphans();
    capture_ = std::make_shared<Capture>(executor, program.environment, std::move(on_output));
    const auto spawned = spawn(program);
    const auto failed = capture_->take_over(spawned.output);
    process_ = std::make_shared<Process>(executor, spawned.pid);
    if (failed)
        cannot_start("reading its output", failed.value());
    capture_->read_on();
}

Child::~Child()
{
    capture_->forget_listener();
    const bool ended = process_->ending().has_value();
    if (ended && capture_->is_open())
        return;  // kept leftovers may still write: it is read, and thrown away, as long as they live
    capture_->stop();
    if (ended)
        return;
    process_->kill_group(SIGKILL);
    process_->reap(WNOHANG);
    if (!process_->ending())
        process_->pidfd().async_wait(Descriptor::wait_read, [process = process_](boost::system::error_code) {
            process->reap(WNOHANG);
            reap_orphans();
        });
}

void Child::signal_group(int signal) noexcept { process_->kill_group(signal); }
std::string Child::output() const { return capture_->text(); }
bool Child::output_is_held_open() const { return capture_->is_open(); }

asio::awaitable<Ending> end_of(std::shared_ptr<Child> child, Leftovers leftovers)
{
    auto& process = *child->process_;
    if (!process.ending())
        co_await process.pidfd().async_wait(Descriptor::wait_read, asio::use_awaitable);
    if (!process.ending()) {
        child->capture_->take_rest();
        if (leftovers == Leftovers::kill)
            process.kill_group(SIGKILL);
        process.reap(0);
        if (leftovers == Leftovers::kill)
            child->capture_->stop();
        reap_orphans();
    }
    co_return *process.ending();
}

}  // namespace keepwell
