#include "exporters/exposition.hpp"
#include "exporters/metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

namespace keepwell {

namespace {

double seconds(const timeval& time)
{
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double open_descriptors()
{
    const std::unique_ptr<DIR, int (*)(DIR*)> directory{::opendir("/proc/self/fd"), &::closedir};
    double count = 0;
    while (directory && ::readdir(directory.get()))
        ++count;
    return count > 3 ? count - 3 : 0;  // without ".", ".." and the directory itself
}

// proc(5): /proc/self/statm counts pages.
struct Memory {
    double virtual_bytes = 0;
    double resident_bytes = 0;
};
Memory memory()
{
    const std::unique_ptr<FILE, int (*)(FILE*)> file{std::fopen("/proc/self/statm", "re"), &std::fclose};
    unsigned long long size = 0;
    unsigned long long resident = 0;
    if (!file || std::fscanf(file.get(), "%llu %llu", &size, &resident) != 2)
        return {};
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    return {static_cast<double>(size) * page, static_cast<double>(resident) * page};
}

// Read before main() runs, so close enough to the start.
const auto started = std::chrono::system_clock::now();

}  // namespace

void write_process_metrics(Exposition& out)
{
    const auto one = [&](std::string_view name, std::string_view type, std::string_view help, double value) {
        out.family(name, type, help);
        out.sample({}, value);
    };
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    const auto size = memory();
    one("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.",
        seconds(usage.ru_utime) + seconds(usage.ru_stime));
    one("process_open_fds", "gauge", "Number of open file descriptors.", open_descriptors());
    one("process_max_fds", "gauge", "Maximum number of open file descriptors.",
        static_cast<double>(descriptors.rlim_cur));
    one("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", size.virtual_bytes);
    one("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", size.resident_bytes);
    one("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.",
        std::chrono::duration<double>(started.time_since_epoch()).count());
}

}  // namespace keepwell
