#include "daemon/compose/options.hpp"
#include "daemon/compose/tools.hpp"

#include <algorithm>
#include <array>

namespace keepwell::compose {

namespace {

using Why = Untranslated::Why;
using Names = std::pair<std::string_view, char>;

// Letters of curl(1); long names that have no letter get one that curl does not use.
constexpr std::array curl_names{
    Names{"request", 'X'},         Names{"header", 'H'},      Names{"output", 'o'},
    Names{"max-time", 'm'},        Names{"user", 'u'},        Names{"data", 'd'},
    Names{"connect-timeout", '1'}, Names{"retry", '2'},       Names{"url", '3'},
    Names{"user-agent", 'A'},      Names{"write-out", 'w'},   Names{"unix-socket", '4'},
    Names{"cacert", '5'},          Names{"retry-delay", '6'}, Names{"resolve", '7'},
    Names{"retry-max-time", '8'},
};
constexpr std::array curl_flags{Names{"fail", 'f'},          Names{"location", 'L'}, Names{"insecure", 'k'},
                                Names{"head", 'I'},          Names{"silent", 's'},   Names{"show-error", 'S'},
                                Names{"fail-with-body", 'f'}};
constexpr Grammar curl_grammar{"XHomudA1234567w", curl_names, curl_flags};

constexpr std::array wget_names{Names{"output-document", 'O'}, Names{"tries", 't'},    Names{"timeout", 'T'},
                                Names{"header", 'H'},          Names{"user", '1'},     Names{"password", '2'},
                                Names{"output-file", 'o'},     Names{"proxy", 'Y'},    Names{"method", 'X'},
                                Names{"user-agent", 'U'},      Names{"post-data", '3'}};
constexpr std::array wget_flags{Names{"spider", 's'}, Names{"no-check-certificate", 'k'},
                                Names{"quiet", 'q'}};
constexpr Grammar wget_grammar{"OtToYU", wget_names, wget_flags};

void add_headers(NativeProbe& probe, std::span<const Word> headers, const Inside& inside)
{
    for (const auto& header : headers) {
        const auto colon = header.text.find(':');
        const auto value = header.text.find_first_not_of(' ', colon == header.text.npos ? colon : colon + 1);
        if (value == header.text.npos)
            continue;
        auto made = secret_setting("headers." + header.text.substr(0, colon), header.text.substr(value),
                                   header, inside);
        made.secret = !header.variable.empty() || header.text.starts_with("Authorization");
        probe.settings.push_back(std::move(made));
    }
}

void add_filters(NativeProbe& probe, const Command& command)
{
    for (const auto& pattern : command.filters)
        probe.settings.push_back(setting("body_matches", pattern));
}

// `user:password`, each a setting.
void add_credentials(NativeProbe& probe, const Word& credentials, const Inside& inside)
{
    const auto colon = credentials.text.find(':');
    probe.settings.push_back({"username", credentials.text.substr(0, colon)});
    if (colon != credentials.text.npos)
        probe.settings.push_back(
            secret_setting("password", credentials.text.substr(colon + 1), credentials, inside));
}

NativeProbe curl(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), curl_grammar};
    const auto* url = options.find('3');
    if (!url && options.operands().size() == 1)
        url = options.operands().data();
    if (!url)
        throw Untranslated{Why::too_clever, "calls curl with none or several URLs"};
    NativeProbe probe{"http", outside_url(url->text, inside)};
    const auto add = [&](std::string key, std::string value) {
        probe.settings.push_back({std::move(key), std::move(value)});
    };
    if (options.has('I'))
        add("method", "HEAD");
    if (options.has('d'))
        add("method", "POST");
    if (options.has('X') && options.text('X') != "GET")
        add("method", options.text('X'));
    if (options.has('d'))
        probe.settings.push_back(setting("body", *options.find('d')));
    if (options.has('4'))
        throw Untranslated{Why::looks_inside, "asks a unix socket in the container"};
    add_headers(probe, options.all('H'), inside);
    if (const auto* user = options.find('u'))
        add_credentials(probe, *user, inside);
    if (options.has('k'))
        add("tls.insecure", "true");
    // Without -f any answer is good; with it, what is not an error, and redirects are not followed unless
    // asked for.
    if (!options.has('f'))
        add("status", "100-599");
    else if (!options.has('L'))
        add("status", "200-399");
    if (!options.has('L'))
        add("follow_redirects", "false");
    add_filters(probe, command);
    return probe;
}

NativeProbe wget(const Command& command, const Inside& inside)
{
    const Options options{std::span{command.words}.subspan(1), wget_grammar};
    if (options.operands().size() != 1)
        throw Untranslated{Why::too_clever, "calls wget with none or several URLs"};
    NativeProbe probe{"http", outside_url(options.operands().front().text, inside)};
    if (options.has('X') && options.text('X') != "GET")
        probe.settings.push_back({"method", options.text('X')});
    if (const auto* data = options.find('3')) {
        probe.settings.push_back({"method", "POST"});
        probe.settings.push_back(setting("body", *data));
    }
    add_headers(probe, options.all('H'), inside);
    if (options.has('1'))
        probe.settings.push_back(setting("username", *options.find('1')));
    if (const auto* password = options.find('2'))
        probe.settings.push_back(secret_setting("password", password->text, *password, inside));
    if (options.has('k'))
        probe.settings.push_back({"tls.insecure", "true"});
    add_filters(probe, command);
    return probe;
}

// The first URL in a piece of code, or nothing.
std::string url_in(std::string_view code)
{
    auto begin = code.find("http://");
    begin = std::min(begin, code.find("https://"));
    if (begin == code.npos)
        return {};
    const auto end = code.find_first_of("\"'` \\)", begin);
    return std::string{code.substr(begin, end == code.npos ? end : end - begin)};
}

// The text of digits after `word`: the port in `port: 3000` or `('localhost', 8000)`.
std::string digits_after(std::string_view code, std::string_view word)
{
    const auto at = code.find(word);
    if (at == code.npos)
        return {};
    const auto begin = code.find_first_of("0123456789", at + word.size());
    if (begin == code.npos ||
        code.substr(at + word.size(), begin - at - word.size()).find_first_not_of(": ,'\"=") != code.npos)
        return {};
    const auto end = code.find_first_not_of("0123456789", begin);
    return std::string{code.substr(begin, end == code.npos ? end : end - begin)};
}

// The quoted text after `word`: `/health` in `path: '/health'`.
std::string quoted_after(std::string_view code, std::string_view word)
{
    const auto at = code.find(word);
    const auto open = at == code.npos ? at : code.find_first_of("'\"", at + word.size());
    const auto close = open == code.npos ? open : code.find(code[open], open + 1);
    return close == code.npos ? std::string{} : std::string{code.substr(open + 1, close - open - 1)};
}

// Whether the code has this number, and not only as a part of a longer one.
bool names(std::string_view code, std::string_view number)
{
    const auto digit = [&](std::size_t at) {
        return at < code.size() && std::isdigit(static_cast<unsigned char>(code[at]));
    };
    for (auto at = code.find(number); at != code.npos; at = code.find(number, at + 1))
        if (!(at > 0 && digit(at - 1)) && !digit(at + number.size()))
            return true;
    return false;
}

// What statuses the code is content with, if it says so.
void add_statuses(NativeProbe& probe, std::string_view code, std::string_view otherwise)
{
    if (names(code, "200") && !names(code, "300") && !names(code, "400") && !names(code, "500"))
        probe.settings.push_back({"status", "200"});
    else if (!otherwise.empty())
        probe.settings.push_back({"status", std::string{otherwise}});
}

std::string code_of(const Command& command, std::string_view option)
{
    const auto found = std::ranges::find(command.words, option, &Word::text);
    if (found == command.words.end() || found + 1 == command.words.end())
        throw Untranslated{Why::too_clever, "runs a program of its own, " + command.words.front().text};
    return (found + 1)->text;
}

[[noreturn]] void give_up_on(std::string_view code, std::string_view language)
{
    const bool connects = code.contains("connect") || code.contains("request") || code.contains("get(") ||
                          code.contains("open(") || code.contains("import_module") || code.contains("ping");
    if (!connects)
        throw Untranslated{Why::checks_nothing,
                           "is " + std::string{language} + " that asks nobody, and so always passes"};
    throw Untranslated{Why::too_clever, "is a program in " + std::string{language}};
}

NativeProbe python(const Command& command, const Inside& inside)
{
    const auto code = code_of(command, "-c");
    if (const auto url = url_in(code); !url.empty()) {
        NativeProbe probe{"http", outside_url(url, inside)};
        // urllib raises for errors; requests and http.client do only when told to.
        const bool raises = code.contains("urlopen") || code.contains("raise_for_status");
        add_statuses(probe, code, raises ? "" : "100-599");
        return probe;
    }
    for (const std::string_view call : {"create_connection((", ".connect((", "connect_ex(("}) {
        const auto at = code.find(call);
        if (at == code.npos)
            continue;
        const auto host = quoted_after(code, call);
        const auto port = digits_after(code.substr(at), ",");
        if (!host.empty() && !port.empty())
            return {"tcp", outside_address(host, port, inside)};
    }
    give_up_on(code, "Python");
}

NativeProbe node(const Command& command, const Inside& inside)
{
    const bool spelled_out = std::ranges::find(command.words, "--eval", &Word::text) != command.words.end();
    const auto code = code_of(command, spelled_out ? "--eval" : "-e");
    if (const auto url = url_in(code); !url.empty()) {
        NativeProbe probe{"http", outside_url(url, inside)};
        add_statuses(probe, code, code.contains(".ok") ? "" : "100-599");
        probe.settings.push_back({"follow_redirects", code.contains("fetch(") ? "true" : "false"});
        return probe;
    }
    if (const auto port = digits_after(code, "port"); !port.empty()) {
        const auto path = quoted_after(code, "path");
        if (path.starts_with('/') && (code.contains(".get(") || code.contains(".request("))) {
            NativeProbe probe{"http", outside_url("http://localhost:" + port + path, inside)};
            add_statuses(probe, code, "100-599");
            probe.settings.push_back({"follow_redirects", "false"});
            return probe;
        }
        return {"tcp", outside_address("localhost", port, inside)};
    }
    give_up_on(code, "JavaScript");
}

}  // namespace

std::span<const NamedTool> http_tools()
{
    static constexpr std::array tools{NamedTool{"curl", curl},     NamedTool{"wget", wget},
                                      NamedTool{"python", python}, NamedTool{"node", node},
                                      NamedTool{"nodejs", node},   NamedTool{"bun", node}};
    return tools;
}

}  // namespace keepwell::compose
