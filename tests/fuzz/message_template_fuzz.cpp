#include "daemon/message_template.hpp"
#include "probes/utf8.hpp"

#include <boost/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

void promised(bool kept)
{
    if (!kept)
        std::abort();
}

}  // namespace

// A template, a NUL byte, and what a server has said: the template is refused or filled in, and the value
// stays within where it stands.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    const std::string_view input{reinterpret_cast<const char*>(data), size};
    const auto end = input.find('\0');
    const Message message{{"text", std::string{end == input.npos ? input : input.substr(end + 1)}}};
    if (const auto made = MessageTemplate::parse(input.substr(0, end))) {
        promised(made->text() == input.substr(0, end));
        for (const auto escape : {Escape::none, Escape::json, Escape::url, Escape::header})
            (void)made->render(message, escape);
    }
    const auto alone = MessageTemplate::parse("{{ text }}");
    boost::json::error_code error;
    const auto json = boost::json::parse("\"" + alone->render(message, Escape::json) + "\"", error);
    promised(!error && json.as_string() == valid_utf8(message.at("text")));
    promised(alone->render(message, Escape::header).find_first_of("\r\n") == std::string::npos);
    promised(alone->render(message, Escape::url).find_first_of("&=# \r\n\"<>") == std::string::npos);
    return 0;
}
