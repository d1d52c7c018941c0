#include "exporters/blackbox/conversation.hpp"

#include "exporters/exposition.hpp"
#include "probes/printable.hpp"

#include <boost/asio/error.hpp>

#include <array>
#include <optional>

namespace keepwell::blackbox {

namespace {

constexpr Gauge expect_info{"probe_expect_info", "1, labelled with what was found in the peer's words."};

constexpr std::size_t longest_line = 64 << 10;

// Reads a stream line by line, or so many bytes of it.
class Input {
public:
    explicit Input(Stream& stream) : stream_{stream} {}

    // Without its end, LF or CR LF; nothing once the peer has closed. What it said last need not have an end.
    asio::awaitable<std::optional<std::string>> line()
    {
        std::size_t end = 0;
        while ((end = buffer_.find('\n')) == std::string::npos) {
            if (buffer_.size() >= longest_line)
                throw Failure{rejected(Reason::reply_too_large, "a line is longer than 64 KiB")};
            const bool more = co_await fill();
            if (!more)
                break;
        }
        if (end == std::string::npos && buffer_.empty())
            co_return std::nullopt;
        auto text = buffer_.substr(0, end);
        buffer_.erase(0, end == std::string::npos ? end : end + 1);
        if (text.ends_with('\r'))
            text.pop_back();
        co_return text;
    }
    // Fewer only if the peer has closed.
    asio::awaitable<std::string> bytes(std::size_t count)
    {
        while (buffer_.size() < count) {
            const bool more = co_await fill();
            if (!more)
                break;
        }
        auto text = buffer_.substr(0, count);
        buffer_.erase(0, count);
        co_return text;
    }

private:
    // False at the end.
    asio::awaitable<bool> fill()
    {
        std::array<char, 4096> chunk;
        std::size_t count = 0;
        try {
            count = co_await stream_.read_some(chunk);
        } catch (const boost::system::system_error& error) {
            if (error.code() != asio::error::eof)
                throw;
        }
        buffer_.append(chunk.data(), count);
        co_return count > 0;
    }

    Stream& stream_;
    std::string buffer_{};
};

void note_labels(const QueryResponse& step, const std::string& line, Sheet& sheet)
{
    std::map<std::string, std::string> sorted;
    for (const auto& [name, value] : step.labels)
        sorted[name] = step.expect.expanded(line, value).value_or("");
    std::string labels;
    for (const auto& [name, value] : sorted)
        labels += (labels.empty() ? "" : ",") + label(name, value);
    if (!labels.empty())
        sheet.set(expect_info, labels, 1);
}

// Reads lines until one matches; what is to be sent then, with what the match has found. Nothing: none did.
asio::awaitable<std::optional<std::string>> expect_line(const QueryResponse& step, Input& input,
                                                        SharedAttempt attempt)
{
    std::string last;
    for (;;) {
        auto line = co_await input.line();
        if (!line)
            break;
        if (auto to_send = step.expect.expanded(*line, step.send.reveal())) {
            attempt->sheet.set(gauge::failed_regex, 0);
            attempt->info("as expected",
                          {{"regexp", step.expect.text()}, {"line", excerpt(printable(*line))}});
            note_labels(step, *line, attempt->sheet);
            co_return to_send;
        }
        last = *std::move(line);
    }
    attempt->sheet.set(gauge::failed_regex, 1);
    attempt->fail("the peer has closed, and no line matched",
                  {{"regexp", step.expect.text()}, {"last_line", excerpt(printable(last))}});
    co_return std::nullopt;
}

asio::awaitable<bool> expect_bytes(const QueryResponse& step, Input& input, SharedAttempt attempt)
{
    const auto found = co_await input.bytes(step.expect_bytes.size());
    const bool same = found == step.expect_bytes;
    attempt->sheet.set(gauge::failed_bytes, found.size() == step.expect_bytes.size() && !same ? 1 : 0);
    co_return same || attempt->fail("other bytes than expected", {{"found", excerpt(printable(found))}});
}

}  // namespace

asio::awaitable<bool> converse(const Conversation& conversation, Stream& stream, SharedAttempt attempt)
{
    const auto options = conversation.tls_config.options();
    Progress progress{attempt->deadline()};
    if (conversation.begins_with_tls) {
        const auto session = co_await start_tls(stream, options, conversation.server, progress);
        note_tls(attempt->sheet, session);
    }
    std::optional<Input> input{stream};
    for (const auto& step : conversation.steps) {
        auto to_send = step.send.reveal();
        if (!step.expect.empty()) {
            auto found = co_await expect_line(step, *input, attempt);
            if (!found)
                co_return false;
            to_send = *std::move(found);
        }
        if (!step.expect_bytes.empty()) {
            const bool as_expected = co_await expect_bytes(step, *input, attempt);
            if (!as_expected)
                co_return false;
        }
        if (!to_send.empty()) {
            attempt->info("sends a line");
            co_await stream.write(to_send + "\n");
        }
        if (step.starttls) {
            const auto session = co_await start_tls(stream, options, conversation.server, progress);
            note_tls(attempt->sheet, session);
            attempt->info("goes on under TLS");
            input.emplace(stream);
        }
    }
    co_return true;
}

}  // namespace keepwell::blackbox
