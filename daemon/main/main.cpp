// keepwelld: the daemon, and everything that one asks of it on the command line.
#include "daemon/main/commands.hpp"
#include "daemon/version.hpp"
#include "exporters/server.hpp"
#include "probes/duration.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>

using namespace keepwell;

namespace {

constexpr auto examples =
    "Examples:\n"
    "  keepwell --config.file=keepwell.yaml           watch the stack that the file describes\n"
    "  keepwell check keepwell.yaml                   is the file right? all problems at once\n"
    "  docker compose config --format json | keepwell import - >keepwell.yaml\n"
    "  keepwell probe redis 127.0.0.1:6379            one attempt; exit code 0-3 = ok, rejected, "
    "no_response, not_attempted\n"
    "  keepwell probe exec -- nginx -t                a program's exit code\n"
    "  keepwell status --watch                        how is everything?\n"
    "  keepwell explain api                           when is a hang of api noticed, and what follows?\n"
    "  keepwell pause api --note='new disk'           maintenance: watched, but left alone\n"
    "  keepwell resume api                            ends maintenance and quarantine\n"
    "  keepwell notify test                           does everybody who is to be told hear it?\n"
    "  keepwell healthcheck api                       exit code 0 when healthy, for a container's health "
    "check\n"
    "\n"
    "Exit codes: 0 fine, 1 no, 100 wrong usage or configuration, 111 the system failed us.";

// Flags are wrong usage when they are read, not a failure later on.
std::string listen_fault(const std::string& text)
{
    const auto endpoint = listen_endpoint(text);
    return text == "none" || endpoint ? "" : endpoint.error();
}

std::string duration_fault(const std::string& text)
{
    const auto duration = Duration::parse(text);
    return duration ? "" : duration.error();
}

void add_daemon_options(CLI::App& app, RunOptions& options)
{
    app.option_defaults()->take_last();  // a later one on the command line wins

    app.add_option("--config.file", options.config_file, "configuration file")->capture_default_str();
    app.add_flag("--config.check", options.check_only, "check the configuration file and exit");
    app.add_option("--config.auto-reload-interval", options.reload_interval,
                   "how often to look whether the file's content has changed; 0: never")
        ->check(duration_fault)
        ->capture_default_str();
    app.add_option("--web.listen-address", options.listen,
                   "address to listen on, such as :5337 or 127.0.0.1:5337; may be repeated; `none`: no TCP")
        ->take_all()
        ->check(listen_fault)
        ->default_str(":5337");
    app.add_option("--web.socket", options.socket, "unix socket to listen on; `none`: no socket")
        ->capture_default_str();
    app.add_option("--web.socket-mode", options.socket_mode,
                   "who may connect to the unix socket, as for chmod(1)")
        ->check([](const std::string& mode) {
            return !mode.empty() && mode.size() <= 4 && mode.find_first_not_of("01234567") == mode.npos
                       ? ""
                       : "expected up to four octal digits, such as 0660";
        })
        ->capture_default_str();
    app.add_option("--web.config.file", options.web_config_file,
                   "TLS, users, roles and limits of the web server: Prometheus' web-config.yml");
    app.add_option("--web.max-connections", options.most_connections,
                   "connections that are served at once, at most half of the descriptors that there are")
        ->check(CLI::Range(16, 1'000'000))
        ->capture_default_str();
    app.add_option("--state.file", options.state_file,
                   "where restarts and maintenance are remembered; `none`: nowhere")
        ->default_str("state_path of the configuration, else /var/lib/keepwell/state.json");
    app.add_option(
        "--blackbox.config.file", options.blackbox_file,
        "modules of blackbox_exporter: switches /probe on, which asks whatever address it is given");
    app.add_option("--timeout-offset", options.timeout_offset,
                   "seconds by which /probe answers before the scrape's time-out")
        ->check(CLI::Range(0.0, 60.0))
        ->capture_default_str();
    app.add_option("--history.limit", options.history_limit, "attempts by /probe that /logs remembers")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--log.level", options.log_level, "debug, info, warn or error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
        ->capture_default_str();
    app.add_option("--log.format", options.log_format, "logfmt or json")
        ->check(CLI::IsMember({"logfmt", "json"}))
        ->capture_default_str();
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);  // not for what follows
}

std::string add_url(CLI::App* command, std::string& url)
{
    command->add_option(
        "--url", url,
        "where keepwell listens, unix:PATH or http(s)://HOST:PORT (default: $KEEPWELL_URL, else the unix "
        "socket if there is one, else http://127.0.0.1:5337); docs/web-config.md has the variables that say "
        "who asks");
    return url;
}

void add_notify(CLI::App& app, CommandOptions& options, int& exit_code)
{
    auto* notify = app.add_subcommand("notify", "who is told: `keepwell notify test` tries it");
    notify->require_subcommand(1);
    auto* test = notify->add_subcommand(
        "test", "send a test message to the receivers of the configuration, and say what came of it");
    test->add_option("RECEIVER", options.receiver,
                     "`alertmanager` or the name of a webhook; without it all of them");
    test->add_option("--config.file", options.file, "configuration file")->default_str("keepwell.yaml");
    test->add_flag("--dry-run", options.dry_run,
                   "print what would be sent, without secrets, and send nothing");
    test->footer(
        "Examples:\n"
        "  keepwell notify test                      one line for each receiver; exit code 0 when all took "
        "it\n"
        "  keepwell notify test slack                only the webhook of this name\n"
        "  keepwell notify test --dry-run            what would be sent");
    test->callback([&] { exit_code = notify_test_command(options); });
}

// Everything that can be asked for; each command's callback leaves what main() is to return.
void add_commands(CLI::App& app, CommandOptions& options, int& exit_code)
{
    auto* check =
        app.add_subcommand("check", "check a configuration file: every problem with line and column");
    check->add_option("FILE", options.file, "the file, `-` for standard input")->default_str("keepwell.yaml");
    check->add_flag(
        "--docker", options.docker,
        "also look at the containers: what is watched how, and known traps of their health checks");
    check->callback([&] { exit_code = check_command(options.file, options.docker); });

    auto* probe = app.add_subcommand("probe", "make one attempt and say what came of it");
    probe->add_option("KIND", options.kind, "http, redis, postgres, mysql, tcp, dns, exec, docker ...")
        ->required();
    probe->add_option("TARGET", options.targets, "URL, host:port, or -- and a program with its arguments");
    probe
        ->add_option("-o,--option", options.settings,
                     "a key of the probe, such as -o role=master or -o tls.insecure=true")
        ->allow_extra_args(false);
    probe->add_option("--timeout", options.timeout, "deadline of the attempt")->capture_default_str();
    probe->add_flag("--json", options.json, "the whole result as JSON");
    probe->callback([&] { exit_code = probe_command(options); });

    auto* import = app.add_subcommand("import", "make a configuration from a Compose file");
    import
        ->add_option("FILE", options.compose_file,
                     "what `docker compose config` prints, or a Compose file; `-` for standard input")
        ->capture_default_str();
    import->callback([&] { exit_code = import_command(options.compose_file); });

    auto* status = app.add_subcommand("status", "how every service is, from the running keepwell");
    add_url(status, options.url);
    status->add_flag("--json", options.json, "as JSON");
    status->add_flag("--watch", options.watch, "again every two seconds, until interrupted");
    status->callback([&] { exit_code = status_command(options); });

    auto* explain =
        app.add_subcommand("explain", "a service's timeline: when a failure is noticed, and what follows");
    explain->add_option("SERVICE", options.service)->required();
    explain->add_option("--config.file", options.file, "configuration file")->default_str("keepwell.yaml");
    explain->callback([&] { exit_code = explain_command(options); });

    auto* pause = app.add_subcommand("pause", "put a service into maintenance: watched, but left alone");
    pause->add_option("SERVICE", options.service)->required();
    pause->add_option("--note", options.note, "why, for others to read");
    add_url(pause, options.url);
    pause->callback([&] { exit_code = maintenance_command(options, true); });

    auto* resume = app.add_subcommand("resume", "end a service's maintenance and quarantine");
    resume->add_option("SERVICE", options.service)->required();
    add_url(resume, options.url);
    resume->callback([&] { exit_code = maintenance_command(options, false); });

    add_notify(app, options, exit_code);

    // Answered by the small front program; listed here for --help.
    app.add_subcommand(
        "healthcheck",
        "ask the running keepwell whether SERVICE is healthy; see `keepwell healthcheck --help`");
    app.add_subcommand("reference", "print the configuration reference (Markdown)")->callback([&] {
        exit_code = reference_command();
    });
    app.add_subcommand("schema", "print the JSON Schema of the configuration, for editors")->callback([&] {
        exit_code = schema_command();
    });
    app.require_subcommand(0, 1);
}

}  // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{
        "Watches stacks of services, tells Prometheus and people how each one is, and restarts what needs "
        "it.",
        "keepwell"};
    app.footer(examples);
    app.set_version_flag("--version",
                         "keepwell " + std::string{version} + " (" + std::string{compiler} + ")");
    RunOptions run_options;
    CommandOptions options;
    int exit_code = -1;
    try {
        add_daemon_options(app, run_options);
        add_commands(app, options, exit_code);
        app.parse(argc, argv);
        run_options.socket_is_given = app.count("--web.socket") > 0;
        if (exit_code >= 0)
            return exit_code;
        if (run_options.check_only)
            return std::max({check_command(run_options.config_file, false),
                             check_web_config(run_options.web_config_file),
                             check_modules(run_options.blackbox_file)});
        return run_command(run_options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "keepwell: %s\n", error.what());
        return exit_system;
    }
}
