// What is asked of the running keepwell: status, pause and resume.
#include "daemon/main/client.hpp"
#include "daemon/main/commands.hpp"
#include "daemon/main/table.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace keepwell {

namespace {

int refused(const Answer& answer)
{
    boost::json::error_code error;
    const auto document = boost::json::parse(answer.body, error);
    const auto* message =
        !error && document.is_object() ? document.get_object().if_contains("error") : nullptr;
    fmt::print(stderr, "keepwell: {}\n",
               message && message->is_string() ? std::string{message->get_string()} : answer.body);
    return 1;
}

}  // namespace

int status_command(const CommandOptions& options)
{
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    for (;;) {
        const auto answer = ask(options.url, "GET", "/api/v1/status");
        if (answer.status != 200)
            return refused(answer);
        if (options.watch && terminal)
            std::fputs("\033[H\033[2J", stdout);
        std::fputs((options.json ? answer.body : status_table(answer.body, terminal)).c_str(), stdout);
        std::fflush(stdout);
        if (!options.watch)
            return 0;
        std::this_thread::sleep_for(std::chrono::seconds{2});
    }
}

int maintenance_command(const CommandOptions& options, bool on)
{
    auto path = (on ? "/api/v1/maintenance/" : "/api/v1/resume/") + percent_encoded(options.service);
    if (on && !options.note.empty())
        path += "?note=" + percent_encoded(options.note);
    const auto answer = ask(options.url, "POST", path);
    if (answer.status != 200)
        return refused(answer);
    fmt::print("{}: {}\n", options.service,
               on ? "in maintenance: watched, but left alone; `keepwell resume` ends it" : "resumed");
    return 0;
}

}  // namespace keepwell
