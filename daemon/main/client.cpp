#include "daemon/main/client.hpp"

#include "probes/deadline.hpp"
#include "probes/transfer.hpp"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace keepwell {

namespace {

constexpr auto answer_limit = std::chrono::seconds{10};
constexpr std::uint64_t most_answer_bytes = 256 << 20;  // of a daemon with a hundred thousand probes
constexpr const char* default_socket = "/run/keepwell/keepwell.sock";

std::string url_of(const std::string& given)
{
    if (!given.empty())
        return given;
    if (const char* url = std::getenv("KEEPWELL_URL"); url && *url)
        return url;
    return ::access(default_socket, F_OK) == 0 ? "unix:" + std::string{default_socket}
                                               : "http://127.0.0.1:5337";
}

std::string variable(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

// What the environment says about who asks, and whom to trust.
void show_who_asks(HttpRequest& request)
{
    request.username = variable("KEEPWELL_USER");
    if (const auto file = variable("KEEPWELL_PASSWORD_FILE"); !file.empty()) {
        std::ifstream stream{file};
        std::string password;
        if (!std::getline(stream, password))
            throw std::runtime_error{"cannot read a password from " + file + " (KEEPWELL_PASSWORD_FILE)"};
        request.password = Secret{std::move(password)};
    }
    request.tls.ca_file = variable("KEEPWELL_CA_FILE");
    request.tls.certificate_file = variable("KEEPWELL_CERTIFICATE_FILE");
    request.tls.key_file = variable("KEEPWELL_KEY_FILE");
}

// Where an answer says that one has no right to it, in words for people.
void check_admitted(int status, const std::string& where)
{
    if (status == 401)
        throw std::runtime_error{"keepwell at " + where +
                                 " asks who you are: set KEEPWELL_USER and KEEPWELL_PASSWORD_FILE"};
    if (status == 429)
        throw std::runtime_error{"keepwell at " + where + " has too many requests; try again later"};
}

asio::awaitable<std::optional<HttpReply>> exchange(const HttpRequest& request, Progress& progress)
{
    co_return co_await within(progress.deadline(), transfer(request, progress));
}

}  // namespace

std::string percent_encoded(std::string_view text)
{
    std::string encoded;
    for (const char c : text)
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
            c == '_' || c == '.')
            encoded += c;
        else
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return encoded;
}

Answer ask(const std::string& given, const std::string& method, const std::string& path)
{
    const auto where = url_of(given);
    HttpRequest request;
    request.method = method;
    request.max_body = request.keep_body = most_answer_bytes;
    const bool local = where.starts_with("unix:");
    if (local)
        request.unix_socket = where.substr(5);
    else
        show_who_asks(request);
    const auto url = Url::parse((local ? "http://keepwell" : where.substr(0, where.find('/', 8))) + path);
    if (!url)
        throw std::runtime_error{"bad --url \"" + where + "\": " + url.error()};
    request.url = *url;

    asio::io_context loop{1};
    Progress progress{Clock::now() + answer_limit};
    std::optional<HttpReply> reply;
    std::string failure = "no answer within 10 s";
    asio::co_spawn(loop, exchange(request, progress),
                   [&](const std::exception_ptr& error, std::optional<HttpReply> got) {
                       try {
                           if (error)
                               std::rethrow_exception(error);
                           reply = std::move(got);
                       } catch (const std::exception& why) {
                           failure = why.what();
                       }
                       loop.stop();
                   });
    loop.run();
    const bool was_sent = method != "GET" && progress.phase() >= Phase::request;
    if (!reply && was_sent)
        throw std::runtime_error{
            fmt::format("keepwell does not answer at {}: {}\n  it was asked, and may do it still: `keepwell "
                        "status` tells",
                        where, failure)};
    if (!reply)
        throw std::runtime_error{fmt::format(
            "keepwell does not answer at {}: {}\n  is it running? say where with --url or KEEPWELL_URL",
            where, failure)};
    check_admitted(reply->status, where);
    return {reply->status, std::move(reply->body)};
}

}  // namespace keepwell
