// How long does a command take from start to exit, as a container runtime that runs it as a health check sees
// it?
//
//   oneshot COUNT COMMAND [ARGUMENT...]   prints medians of wall and CPU time in microseconds as one line of
//   JSON
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

double microseconds(timeval time)
{
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

double median(std::vector<double>& values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

}  // namespace

int main(int argument_count, char** arguments)
{
    const int count = argument_count > 2 ? std::atoi(arguments[1]) : 0;
    if (count < 1)
        return 2;
    posix_spawn_file_actions_t silent{};
    posix_spawn_file_actions_init(&silent);
    for (int descriptor = 0; descriptor < 3; ++descriptor)
        posix_spawn_file_actions_addopen(&silent, descriptor, "/dev/null", O_RDWR, 0);

    std::vector<double> wall;
    std::vector<double> cpu;
    int failed = 0;
    for (int i = 0; i < count; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        pid_t child = 0;
        if (posix_spawnp(&child, arguments[2], &silent, nullptr, arguments + 2, environ) != 0)
            return 1;
        int status = 0;
        rusage use{};
        wait4(child, &status, 0, &use);
        const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
        wall.push_back(took.count());
        cpu.push_back(microseconds(use.ru_utime) + microseconds(use.ru_stime));
        failed += status != 0;
    }
    std::printf("{\"attempts\":%d,\"failed\":%d,\"wall_us\":%.1f,\"cpu_us\":%.1f}\n", count, failed,
                median(wall), median(cpu));
    return failed == 0 ? 0 : 1;
}
