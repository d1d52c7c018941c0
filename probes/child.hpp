#pragma once

#include "probes/spawn.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <string>

namespace keepwell {

// How a program ended: by itself with a code, or by a signal.
struct Ending {
    int exit_code = 0;
    int signal = 0;  // 0: it was not killed
    bool operator==(const Ending&) const = default;
};
std::string to_string(const Ending& ending);  // "exit code 2", "killed by SIGSEGV"

// What becomes of the processes that a program leaves behind in its process group when it ends.
enum class Leftovers { kill, keep };

// A running program in a process group of its own. Its standard input is /dev/null; standard output and error
// come through one pipe that is always read on, so that the program never waits for us, and of which the last
// 4 KiB are kept. It inherits no other descriptor, and no signal mask or disposition of ours.
//
// Destroying a Child kills its group and leaves the reaping to the loop: nothing blocks, no zombie stays.
class Child {
public:
    using OnOutput = std::function<void(std::string output)>;

    // Starts the program, or throws Failure: not_executable when it is missing, resource_exhausted when
    // descriptors or processes are, bad_configuration when directory or user are wrong, permission_denied.
    // `on_output` is told what is kept each time something has come, until the Child is destroyed.
    Child(const asio::any_io_executor& executor, const Program& program, OnOutput on_output = {});
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    void signal_group(int signal) noexcept;
    std::string output() const;        // what is kept so far, printable, without the environment's secrets
    bool output_is_held_open() const;  // after the end: something it left behind may still write

    // Waits for the program's end (not for its output's: a process left behind may hold that open for ever),
    // takes what it has written by then, and reaps it. May be cancelled, and called again.
    friend asio::awaitable<Ending> end_of(std::shared_ptr<Child> child, Leftovers leftovers);

private:
    class Process;
    class Capture;
    std::shared_ptr<Process> process_;
    std::shared_ptr<Capture> capture_;
};

asio::awaitable<Ending> end_of(std::shared_ptr<Child> child, Leftovers leftovers);

// As process 1 of a container (or as a subreaper) we inherit the orphans of the programs we start; this reaps
// those that have ended. Called at each start and end of a Child; harmless at any time.
void reap_orphans();

}  // namespace keepwell
