#include "tests/catch.hpp"
#include "tests/unit/processes.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

ExecSpec shell(std::string command) { return {.shell = std::move(command)}; }

std::vector<Pattern> patterns(std::initializer_list<const char*> texts)
{
    std::vector<Pattern> result;
    for (const auto* text : texts)
        result.push_back(*Pattern::parse(text));
    return result;
}

// The number that the program printed last.
pid_t printed_pid(const ProbeResult& result) { return static_cast<pid_t>(std::stol(result.output)); }

// Lets the loop open what it needs for itself.
void warm_up(asio::io_context& loop)
{
    run_now(loop, shell("exit 0"));
    loop.poll();
    loop.restart();
}

bool no_children_left(asio::io_context& loop)
{
    return run_until(loop, [] { return !has_children(); });
}

}  // namespace

TEST_CASE("exec: the exit code decides")
{
    auto [command, codes, outcome, reason, detail] =
        GENERATE(table<std::string, std::vector<int>, Outcome, Reason, std::string>({
            {"exit 0", {0}, Outcome::ok, Reason::none, ""},
            {"echo fine", {0}, Outcome::ok, Reason::none, ""},
            {"exit 1", {0}, Outcome::rejected, Reason::exit_code, "exit code 1"},
            {"exit 2", {0, 2}, Outcome::ok, Reason::none, ""},
            {"exit 0", {2}, Outcome::rejected, Reason::exit_code, "exit code 0"},
            {"echo checking; echo disk error on sda >&2; echo done; exit 9",
             {0},
             Outcome::rejected,
             Reason::exit_code,
             "exit code 9: disk error on sda"},
            {"echo one; echo two; exit 255", {0}, Outcome::rejected, Reason::exit_code, "exit code 255: two"},
            {"kill -SEGV $$", {0}, Outcome::rejected, Reason::killed_by_signal, "killed by SIGSEGV"},
            {"kill -KILL $$", {0}, Outcome::rejected, Reason::killed_by_signal, "killed by SIGKILL"},
            {"exec 2>/dev/null; no-such-program",
             {0},
             Outcome::not_attempted,
             Reason::not_executable,
             "exit code 127"},
            {"exit 127", {0, 127}, Outcome::ok, Reason::none, ""},
        }));
    CAPTURE(command);
    asio::io_context loop;
    auto spec = shell(command);
    spec.exit_codes = codes;
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK(result.detail == detail);
    CHECK_FALSE(has_children());
}

TEST_CASE("exec: Nagios plugins are understood")
{
    auto [command, warning_is_ok, outcome, reason,
          detail] = GENERATE(table<std::string, bool, Outcome, Reason, std::string>({
        {"echo 'LOAD OK - 0.1 | load=0.1;5;10'", true, Outcome::ok, Reason::none, "LOAD OK - 0.1"},
        {"echo 'DISK WARNING'; exit 1", true, Outcome::ok, Reason::none, "DISK WARNING"},
        {"echo 'DISK WARNING'; exit 1", false, Outcome::rejected, Reason::exit_code, "warning: DISK WARNING"},
        {"echo 'DISK CRITICAL'; exit 2", true, Outcome::rejected, Reason::exit_code,
         "exit code 2: DISK CRITICAL"},
        {"echo 'no idea'; exit 3", true, Outcome::not_attempted, Reason::undetermined,
         "the plugin could not tell: no idea"},
        {"exit 4", true, Outcome::rejected, Reason::exit_code, "exit code 4"},
        {"exit 126", true, Outcome::not_attempted, Reason::not_executable, "exit code 126"},
    }));
    CAPTURE(command);
    asio::io_context loop;
    auto spec = shell(command);
    spec.nagios = true;
    spec.warning_is_ok = warning_is_ok;
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == outcome);
    CHECK(result.reason == reason);
    CHECK(result.detail == detail);
}

TEST_CASE("exec: the output must match, and must not")
{
    auto [must, must_not, outcome] = GENERATE(table<std::vector<Pattern>, std::vector<Pattern>, Outcome>({
        {patterns({"synced"}), {}, Outcome::ok},
        {patterns({"synced", "lag=\\d+"}), patterns({"ERROR"}), Outcome::ok},
        {patterns({"synced", "nothing like it"}), {}, Outcome::rejected},
        {{}, patterns({"(?i)SYNC"}), Outcome::rejected},
    }));
    asio::io_context loop;
    auto spec = shell("echo synced; echo lag=3 >&2");
    spec.output_matches = must;
    spec.output_not_matches = must_not;
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == outcome);
    CHECK(result.reason == (outcome == Outcome::ok ? Reason::none : Reason::output_mismatch));
    CHECK(result.output == "synced\nlag=3\n");
}

TEST_CASE("exec: arguments reach the program as they are, no shell looks at them")
{
    asio::io_context loop;
    const auto result = run_now(loop, ExecSpec{.argv = {"printf", "%s|", "$HOME", "a b", "", "*", "'\""}});
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.output == "$HOME|a b||*|'\"|");
}

TEST_CASE("exec: at the deadline the whole process group is killed, and what it printed is kept")
{
    asio::io_context loop;
    const auto result =
        run_now(loop, shell("trap '' TERM INT HUP; sleep 60 & echo $!; sleep 60; sleep 60"), 300ms);
    CHECK(result.outcome == Outcome::no_response);
    CHECK(result.reason == Reason::timeout);
    CHECK(result.phase == Phase::reply);
    CHECK(result.took < 2s);
    REQUIRE_FALSE(result.output.empty());
    CHECK(no_children_left(loop));
    CHECK(run_until(loop, [&] { return !is_alive(printed_pid(result)); }));
}

TEST_CASE("exec: a process left behind that holds the output open delays nothing, and is killed")
{
    asio::io_context loop;
    const auto result = run_now(loop, shell("sleep 60 & echo $!"), 5s);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.took < 2s);
    CHECK_FALSE(has_children());
    CHECK(run_until(loop, [&] { return !is_alive(printed_pid(result)); }));
}

TEST_CASE("exec: a process that left the group and floods the output delays nothing")
{
    asio::io_context loop;
    warm_up(loop);
    const auto before = open_descriptors();
    const auto result = run_now(loop, shell("setsid timeout 5 yes & sleep 0.2; exit 0"), 5s);
    CHECK(result.outcome == Outcome::ok);
    CHECK(result.took < 2s);
    CHECK(result.output.size() <= 4096);
    CHECK(run_until(loop, [&] { return open_descriptors() == before; }));
}

TEST_CASE("exec: a hundred megabytes of output are read on, and the last of it is kept")
{
    asio::io_context loop;
    const auto result = run_now(
        loop, shell("head -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo; echo the end; exit 1"),
        30s);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.detail == "exit code 1: the end");
    CHECK(result.output.size() <= 4096);
    CHECK(result.output.size() > 4000);
    CHECK(result.output.ends_with("xxx\nthe end\n"));
}

TEST_CASE("exec: endless output leaves the loop to others")
{
    asio::io_context loop;
    asio::steady_timer timer{loop};
    Clock::duration worst{};
    std::function<void()> tick = [&] {
        const auto due = Clock::now() + 10ms;
        timer.expires_at(due);
        timer.async_wait([&, due](boost::system::error_code error) {
            worst = std::max(worst, Clock::now() - due);
            if (!error)
                tick();
        });
    };
    tick();
    const auto result = run_now(loop, ExecSpec{.argv = {"yes"}}, 1s);
    CHECK(result.reason == Reason::timeout);
    CHECK(result.output.ends_with("y\ny\n"));
    CHECK(worst < 700ms);  // sanitizers and a busy machine included
    CHECK(no_children_left(loop));
}

TEST_CASE("exec: a program that closes its output is waited for all the same")
{
    asio::io_context loop;
    const auto result = run_now(loop, shell("exec >&- 2>&-; sleep 0.3; exit 7"));
    CHECK(result.detail == "exit code 7");
    CHECK(result.took >= 250ms);
}

TEST_CASE("exec: binary output becomes text")
{
    asio::io_context loop;
    const auto result = run_now(loop, shell(R"(printf 'a\000b\377c\303\244\033[31mred\r\n')"));
    CHECK(result.output == "a?b?cä?[31mred\n");
}

TEST_CASE("exec: what cannot be started is our own fault, and says why")
{
    static const Folder folder;  // the same for all rows
    const auto text = folder.write("plain.txt", "exit 0\n", 0644);
    const auto broken = folder.write("broken", "exit 0\n", 0755);
    const auto script = folder.write("script", "#!/no/such/interpreter\n", 0755);
    auto [spec, reason, words] = GENERATE_COPY(table<ExecSpec, Reason, std::string>({
        {ExecSpec{.argv = {"no-such-program-anywhere"}}, Reason::not_executable, "is not in PATH"},
        {ExecSpec{.argv = {"/no/such/program"}}, Reason::not_executable, "No such file or directory"},
        {ExecSpec{.argv = {text}}, Reason::not_executable, "Permission denied"},
        {ExecSpec{.argv = {broken}}, Reason::not_executable, "neither a binary nor a script"},
        {ExecSpec{.argv = {script}}, Reason::not_executable, "interpreter"},
        {ExecSpec{.argv = {"/tmp"}}, Reason::not_executable, "is a directory"},
        {ExecSpec{.argv = {"true"}, .directory = "/no/such"}, Reason::bad_configuration,
         "directory /no/such"},
        {ExecSpec{.argv = {"true"}, .user = "no-such-user"}, Reason::bad_configuration,
         "no user \"no-such-user\""},
        {ExecSpec{.argv = {"true"}, .user = "root:no-such"}, Reason::bad_configuration,
         "no group \"no-such\""},
        {ExecSpec{}, Reason::bad_configuration, "no program"},
        {ExecSpec{.argv = {"true", std::string(3'000'000, 'x')}}, Reason::bad_configuration, "too long"},
    }));
    CAPTURE(words);
    asio::io_context loop;
    warm_up(loop);
    const auto before = open_descriptors();
    const auto result = run_now(loop, spec);
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(result.reason == reason);
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring(words));
    CHECK(run_until(loop, [&] { return open_descriptors() == before; }));
    CHECK_FALSE(has_children());
}

TEST_CASE("exec: programs are found in the PATH they are given, relative ones from their directory")
{
    Folder folder;
    folder.write("keepwell-test-tool", "#!/bin/sh\necho found in $(pwd)\n", 0755);
    asio::io_context loop;
    const auto by_path =
        run_now(loop, ExecSpec{.argv = {"keepwell-test-tool"},
                               .environment = {{"PATH", "/nowhere:" + folder / "" + ":/bin:/usr/bin"}},
                               .directory = "/"});
    CHECK(by_path.output == "found in /\n");
    const auto by_directory =
        run_now(loop, ExecSpec{.argv = {"./keepwell-test-tool"}, .directory = folder / "."});
    CHECK(by_directory.output == "found in " + std::filesystem::canonical(folder / ".").string() + "\n");
}

TEST_CASE("exec: no descriptors left is our own fault")
{
    asio::io_context loop;
    warm_up(loop);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const auto before = open_descriptors();
    const auto few = GENERATE(0u, 1u, 10u);
    CAPTURE(few);
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    const rlimit tight{.rlim_cur = static_cast<rlim_t>(lowest_free) + few, .rlim_max = limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    const auto result = run_now(loop, shell("exit 0"));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (few < 2) {
        CHECK(result.outcome == Outcome::not_attempted);
        CHECK(result.reason == Reason::resource_exhausted);
    } else {
        CHECK(result.outcome == Outcome::ok);
    }
    CHECK(no_children_left(loop));
    CHECK(run_until(loop, [&] { return open_descriptors() == before; }));
}

TEST_CASE(
    "exec: the program gets a clean start: no descriptors, no signal mask, no dispositions, no input of ours")
{
    const int leaked = ::open("/etc/passwd", O_RDONLY);  // without O_CLOEXEC, as a careless library would
    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    auto* pipe_before = ::signal(SIGPIPE, SIG_IGN);

    asio::io_context loop;
    const auto result =
        run_now(loop, shell("cat; cd /proc/self/fd; echo *; grep -E '^Sig(Blk|Ign)' /proc/self/status; "
                            "cut -d' ' -f5 /proc/$$/stat; echo $$"));
    const auto piped = run_now(loop, shell("kill -PIPE $$; echo survived"));
    ::signal(SIGPIPE, pipe_before);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(leaked);

    std::istringstream lines{result.output};
    std::string descriptors, mask, ignored, group, pid;
    std::getline(lines, descriptors);
    std::getline(lines, mask);
    std::getline(lines, ignored);
    std::getline(lines, group);
    std::getline(lines, pid);
    CHECK(descriptors == "0 1 2 3");  // 3 is the shell's own, reading the folder
    CHECK(mask == "SigBlk:\t0000000000000000");
    // glibc leaves the two signals that it keeps for its threads ignored in what it spawns.
    CHECK((ignored == "SigIgn:\t0000000000000000" || ignored == "SigIgn:\t0000000180000000"));
    CHECK(group == pid);
    CHECK(piped.detail == "killed by SIGPIPE");
}

TEST_CASE("exec: the descriptor limit that keepwell raised for itself is not handed on")
{
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    if (before.rlim_cur == before.rlim_max) {
        const rlimit lower{.rlim_cur = before.rlim_cur - 8, .rlim_max = before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) ==
                0);  // below what it was at the start: then this one holds
    } else {
        const rlimit raised{.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &raised) == 0);
    }
    rlimit ours{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &ours) == 0);
    asio::io_context loop;
    const auto result = run_now(loop, shell("ulimit -n"));
    rlimit after{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(result.output == std::to_string(std::min(before.rlim_cur, ours.rlim_cur)) + "\n");
    CHECK(after.rlim_cur == ours.rlim_cur);
}

TEST_CASE("exec: keepwell's secrets are not in the program's environment, what it was given is")
{
    ::setenv("KEEPWELL_TEST_PASSWORD", "ours-alone", 1);
    ::setenv("KEEPWELL_TEST_PLAIN", "for all", 1);
    ::setenv("KEEPWELL_TEST_URL", "postgres://app:ours-alone@db/app", 1);
    ::setenv("NOTIFY_SOCKET", "/run/ours-alone", 1);
    asio::io_context loop;
    auto spec = shell("env | grep -E 'KEEPWELL_TEST|GIVEN|NOTIFY' | sort; echo $#$GIVEN_PASSWORD");
    spec.environment = {{"GIVEN_PASSWORD", "hand-this-on"}, {"GIVEN", "yes"}, {"KEEPWELL_TEST_OTHER", "x=y"}};
    const auto result = run_now(loop, spec);
    ::unsetenv("NOTIFY_SOCKET");
    CHECK(result.output ==
          "GIVEN=yes\nGIVEN_PASSWORD=<secret>\nKEEPWELL_TEST_OTHER=x=y\nKEEPWELL_TEST_PLAIN=for all\n"
          "0<secret>\n");
}

TEST_CASE("exec: a program runs as another user when we are root")
{
    if (::geteuid() != 0) {
        WARN("needs root");
        return;
    }
    asio::io_context loop;
    auto [user, printed] = GENERATE(table<std::string, std::string>({
        {"nobody", "65534 65534 nobody\n"},
        {"65534:0", "65534 0 nobody\n"},
        {"nobody:daemon", "65534 1 nobody\n"},
        {"54321:54322", "54321 54322 54321\n"},
        {"root", "0 0\n"},
    }));
    CAPTURE(user);
    ::unsetenv("USER");
    auto spec = shell("echo $(id -u) $(id -g) $USER");
    spec.user = user;
    const auto result = run_now(loop, spec);
    CHECK(result.output == printed);
    CHECK(result.outcome == Outcome::ok);

    const auto refused = run_now(loop, ExecSpec{.argv = {"/no/such/program"}, .user = user});
    CHECK(refused.outcome == Outcome::not_attempted);
    CHECK(refused.reason == Reason::not_executable);
}

TEST_CASE("exec: only root can run a program as someone else")
{
    if (::geteuid() != 0) {
        WARN("needs root, to give it up");
        return;
    }
    asio::io_context loop;
    REQUIRE(::seteuid(65534) == 0);
    const auto result = run_now(loop, ExecSpec{.argv = {"true"}, .user = "daemon"});
    REQUIRE(::seteuid(0) == 0);
    CHECK(result.outcome == Outcome::not_attempted);
    CHECK(result.reason == Reason::permission_denied);
    CHECK_THAT(result.detail, Catch::Matchers::ContainsSubstring("must run as root"));
}

TEST_CASE("exec: a family of two hundred processes ends with its deadline")
{
    asio::io_context loop;
    const auto result =
        run_now(loop, shell("i=0; while [ $i -lt 200 ]; do sleep 60 & i=$((i+1)); done; echo $$; wait"), 2s);
    CHECK(result.reason == Reason::timeout);
    CHECK(no_children_left(loop));
    const auto group = printed_pid(result);
    CHECK(run_until(loop, [&] { return ::kill(-group, 0) != 0; }));
}

TEST_CASE("exec: many at once leave neither zombies nor descriptors behind")
{
    asio::io_context loop;
    warm_up(loop);
    const auto before = open_descriptors();
    int ended = 0;
    const auto done = [&](std::exception_ptr, const ProbeResult&) { ++ended; };
    for (int i = 0; i < 60; ++i) {
        const auto spec = std::make_shared<const ProbeSpec>(shell(i % 3 ? "exit 1" : "sleep 60"));
        asio::co_spawn(loop, run(spec, i % 3 ? 20s : 200ms), done);
    }
    CHECK(run_until(loop, [&] { return ended == 60; }, 20s));
    CHECK(no_children_left(loop));
    CHECK(run_until(loop, [&] { return open_descriptors() == before; }));
}

TEST_CASE("exec: a loop that goes away takes its programs with it")
{
    const auto before = open_descriptors();
    {
        asio::io_context loop;
        asio::co_spawn(loop, run(std::make_shared<const ProbeSpec>(shell("sleep 60")), 60s), asio::detached);
        CHECK(run_until(loop, [] { return has_children(); }));
    }
    CHECK_FALSE(has_children());
    CHECK(open_descriptors() == before);
}

TEST_CASE("exec: as the reaper of orphans keepwell leaves no zombie")
{
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    asio::io_context loop;
    const auto result = run_now(loop, shell("sleep 60 & echo $!"));
    CHECK(result.outcome == Outcome::ok);
    const auto orphan = printed_pid(result);
    CHECK(run_until(loop, [&] { return !is_alive(orphan); }));
    run_now(loop, shell("exit 0"));
    CHECK_FALSE(has_children());
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

TEST_CASE("exec: what no single field can know is a fault")
{
    auto [spec, words] = GENERATE(table<ExecSpec, std::string>({
        {ExecSpec{}, "needs `argv`"},
        {ExecSpec{.argv = {"true"}, .shell = "true"}, "not both"},
        {ExecSpec{.argv = {"nginx -t"}}, "use `shell` instead"},
        {ExecSpec{.argv = {""}}, "name is empty"},
        {ExecSpec{.argv = {"true", std::string{"a\0b", 3}}}, "NUL"},
        {ExecSpec{.argv = {"true"}, .environment = {{"A=B", "c"}}}, "\"A=B\""},
        {ExecSpec{.argv = {"true"}, .user = "a:b:c"}, "is no user"},
        {ExecSpec{.argv = {"true"}, .exit_codes = {}}, "exit_codes"},
        {ExecSpec{.argv = {"true"}, .exit_codes = {0, 256}}, "exit_codes"},
        {ExecSpec{.argv = {"true"}, .exit_codes = {0, 1}, .nagios = true}, "meaning already"},
        {ExecSpec{.argv = {"true"}, .warning_is_ok = false}, "only with `nagios"},
    }));
    CAPTURE(words);
    const auto faults = spec.faults();
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults.front(), Catch::Matchers::ContainsSubstring(words));
    CHECK(ExecSpec{.argv = {"nginx", "-t"}}.faults().empty());
    CHECK(shell("nginx -t").faults().empty());
}
