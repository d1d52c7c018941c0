#include "probes/spawn.hpp"

#include "probes/account.hpp"
#include "probes/environment.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace keepwell {

namespace {

constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The limit as it was before keepwell raised its own: programs that close all descriptors or use select(2)
// take a very high one badly.
const rlimit descriptors_at_start = [] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
}();

bool is_executable(const std::string& path)
{
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string search_path(const std::map<std::string, std::string>& environment)
{
    if (const auto given = environment.find("PATH"); given != environment.end())
        return given->second;
    const char* ours = ::getenv("PATH");
    return ours && *ours ? ours : std::string{default_path};
}

// The file to execute for the first word of an argv, as a shell would find it.
std::string find_program(const std::string& word, const std::string& path)
{
    if (word.contains('/'))
        return word;
    for (std::string_view rest = path; !word.empty();) {
        const auto end = rest.find(':');
        const auto folder = rest.substr(0, end);
        auto candidate = (folder.empty() ? "." : std::string{folder}) + "/" + word;
        if (is_executable(candidate))
            return candidate;
        if (end == rest.npos)
            break;
        rest.remove_prefix(end + 1);
    }
    throw Failure{not_attempted(Reason::not_executable, "\"" + word + "\" is not in PATH (" + path + ")")};
}

// The two ends of a pipe: ours does not block, the child's does. Neither takes the place of a standard
// descriptor.
struct Pipe {
    int ours = -1;
    int theirs = -1;
    Pipe()
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            cannot_start("pipe", errno);
        ours = above_standard(ends[0]);
        theirs = above_standard(ends[1]);
        if (ours < 0 || theirs < 0 || ::fcntl(ours, F_SETFL, O_NONBLOCK) != 0) {
            const int error = errno;
            close_both();
            cannot_start("pipe", error);
        }
    }
    ~Pipe() { close_both(); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    int take_ours() { return std::exchange(ours, -1); }
    void close_theirs()
    {
        if (theirs >= 0)
            ::close(std::exchange(theirs, -1));
    }

private:
    static int above_standard(int fd)
    {
        if (fd > STDERR_FILENO)
            return fd;
        const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        ::close(fd);
        return moved;
    }
    void close_both()
    {
        close_theirs();
        if (ours >= 0)
            ::close(std::exchange(ours, -1));
    }
};

// What posix_spawn is to do between the vfork and the exec.
class SpawnPlan {
public:
    SpawnPlan(const Program& program, int output)
    {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        if (!program.directory.empty())
            ::posix_spawn_file_actions_addchdir_np(&actions_, program.directory.c_str());

        sigset_t every, none;
        ::sigfillset(&every);
        ::sigemptyset(&none);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setsigdefault(&attributes_, &every);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setflags(&attributes_,
                                   POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnPlan()
    {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    int spawn(pid_t& pid, const std::string& file, std::vector<std::string>& argv,
              std::vector<std::string>& environment)
    {
        auto words = pointers(argv);
        auto entries = pointers(environment);
        // A child takes the limits that hold while it is made; ours is put back at once.
        rlimit now{};
        ::getrlimit(RLIMIT_NOFILE, &now);
        const rlimit theirs{.rlim_cur = std::min(descriptors_at_start.rlim_cur, now.rlim_cur),
                            .rlim_max = now.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &theirs);
        const int error =
            ::posix_spawn(&pid, file.c_str(), &actions_, &attributes_, words.data(), entries.data());
        ::setrlimit(RLIMIT_NOFILE, &now);
        return error;
    }

private:
    static std::vector<char*> pointers(std::vector<std::string>& words)
    {
        std::vector<char*> result;
        result.reserve(words.size() + 1);
        for (auto& word : words)
            result.push_back(word.data());
        result.push_back(nullptr);
        return result;
    }

    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

// Why posix_spawn failed, in words: its error does not say which of directory, program and interpreter it
// means.
[[noreturn]] void explain(const Program& program, const std::string& file, int error)
{
    if (!program.directory.empty() && ::access(program.directory.c_str(), X_OK) != 0)
        throw Failure{not_attempted(Reason::bad_configuration,
                                    "directory " + program.directory + ": " + std::strerror(errno))};
    struct stat status{};
    const auto path =
        file.starts_with('/') || program.directory.empty() ? file : program.directory + "/" + file;
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && error == ENOENT)
        throw Failure{
            not_attempted(Reason::not_executable, file + ": the interpreter of its #! line is missing")};
    if (error == ENOEXEC)
        throw Failure{
            not_attempted(Reason::not_executable, file + ": neither a binary nor a script with a #! line")};
    if (exists && S_ISDIR(status.st_mode))
        throw Failure{not_attempted(Reason::not_executable, file + " is a directory")};
    cannot_start(file, error);
}

// The words, file and environment for another user: what setpriv(1) needs is put before, HOME and its like
// are set.
void become(const std::string& user, std::vector<std::string>& argv, std::string& file, Program& program)
{
    const auto account = find_account(user);
    auto words = words_to_become(account);
    if (words.empty())
        return;
    argv.front() = file;
    argv.insert(argv.begin(), words.begin(), words.end());
    file = find_program(words.front(), std::string{default_path});
    program.environment.emplace("HOME", account.home.empty() ? "/" : account.home);
    program.environment.emplace("USER", account.name.empty() ? std::to_string(account.uid) : account.name);
    program.environment.emplace("LOGNAME", program.environment["USER"]);
}

}  // namespace

[[noreturn]] void cannot_start(const std::string& what, int error)
{
    const auto detail = what + ": " + std::strerror(error);
    switch (error) {
        case EMFILE:
        case ENFILE:
        case EAGAIN:
        case ENOMEM: throw Failure{not_attempted(Reason::resource_exhausted, detail)};
        case E2BIG: throw Failure{not_attempted(Reason::bad_configuration, detail)};
        default: throw Failure{not_attempted(Reason::not_executable, detail)};
    }
}

Spawned spawn(Program program)
{
    if (program.argv.empty() || program.argv.front().empty())
        throw Failure{not_attempted(Reason::bad_configuration, "no program to start")};
    auto argv = program.argv;
    auto file = find_program(argv.front(), search_path(program.environment));
    if (!program.user.empty())
        become(program.user, argv, file, program);
    auto environment = environment_for_child(program.environment);

    Pipe pipe;
    SpawnPlan plan{program, pipe.theirs};
    pid_t pid = 0;
    if (const int error = plan.spawn(pid, file, argv, environment))
        explain(program, file, error);
    // The child has its own copy by now. Closing ours also frees the descriptor that the pidfd will take, so
    // that a full table cannot leave us with a child and no way to wait for it.
    pipe.close_theirs();
    return {.pid = pid, .output = pipe.take_ours()};
}

}  // namespace keepwell
