// What an HTTP server says, where it redirects to and what a user wants of it: no crash, no hang, and what
// was understood once is understood again as it is written back. The first byte says which reader gets the
// rest.
#include "probes/http.hpp"
#include "probes/http_reply.hpp"
#include "probes/printable.hpp"
#include "probes/reply_reader.hpp"
#include "tests/fuzz/require.hpp"

using namespace keepwell;
using test::require;

namespace {

void read_url(std::string_view text)
{
    const auto url = Url::parse(text);
    if (!url)
        return;
    require(Url::parse(url->whole()) == *url);
    require(url->text().size() <= 200 && !url->text().contains('?') && !url->origin().contains('@'));
}

void read_statuses(std::string_view text)
{
    if (const auto statuses = StatusRanges::parse(text))
        require(StatusRanges::parse(statuses->text()) == *statuses);
}

void read_json(std::string_view text)
{
    const auto end_of_pointer = text.find('\n');
    if (end_of_pointer == text.npos)
        return;
    const std::string pointer{text.substr(0, end_of_pointer)};
    pointer_fault(pointer);
    const auto mismatch = json_mismatch(text.substr(end_of_pointer + 1), {{pointer, "ok"}});
    require(!mismatch || mismatch->size() < pointer.size() + 400);
}

// Lines of headers, and what follows the empty one as a body in pieces of different sizes.
void read_reply(std::string_view text)
{
    const HttpRequest request{.max_body = 100, .keep_body = 50, .keep_headers = true};
    HttpReply reply;
    ReplyReader reader{request, reply};
    for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
        if (!reader.line(text.substr(0, end + 1)))
            return require(reader.headers_too_large());
        text.remove_prefix(end + 1);
        if (!reader.in_headers())
            break;
    }
    for (std::size_t piece = 1; !text.empty(); piece *= 2) {
        const auto bytes = text.substr(0, piece);
        if (reader.body(bytes) < bytes.size())
            break;
        text.remove_prefix(bytes.size());
    }
    require(reply.body.size() <= 50 && reply.body_bytes <= 100 && reply.body.size() <= reply.body_bytes);
}

// What came of an answer, as text: all of it, or what was wrong.
std::string understood(std::string_view text, std::size_t piece, const HttpRequest& request)
{
    HttpReply reply;
    HttpReplyParser parser{request, reply};
    try {
        while (!text.empty() && !parser.done()) {
            parser.feed(text.substr(0, piece));
            text.remove_prefix(std::min(piece, text.size()));
        }
        if (!parser.done())
            parser.feed_end();
    } catch (const Failure& failure) {
        return failure.what();
    }
    require(parser.done() && reply.status >= 100 && reply.status <= 999);
    require(reply.body.size() <= request.keep_body && reply.body_bytes <= request.max_body);
    return std::to_string(reply.status) + parser.location() + '\n' + reply.body +
           std::to_string(reply.body_bytes) + std::to_string(reply.headers.size());
}

// It means the same in whatever pieces it comes.
void read_answer(std::string_view text)
{
    const HttpRequest request{.method = text.size() % 4 == 0 ? "HEAD" : "GET",
                              .max_body = 100,
                              .keep_body = 50,
                              .keep_headers = true};
    const auto whole = understood(text, text.size() + 1, request);
    require(understood(text, 1, request) == whole);
    require(understood(text, 5, request) == whole);
}

void read_excerpt(std::string_view text)
{
    const auto shown = excerpt(text, 40);
    require(shown.size() <= 40 && printable(shown) == shown && !shown.contains('\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data + 1), size - 1};
    constexpr std::array readers{&read_reply,    &read_excerpt, &read_url,
                                 &read_statuses, &read_json,    &read_answer};
    readers[data[0] % readers.size()](rest);
    return 0;
}
