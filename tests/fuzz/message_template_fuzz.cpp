#include "daemon/message_template.hpp"
#include "probes/utf8.hpp"
#include "tests/fuzz/require.hpp"

#include <boost/json.hpp>

#include <cstddef>
#include <cstdint>

// A template, a NUL byte, and what a server has said: the template is refused or filled in, and the value
// stays within where it stands.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keepwell;
    using test::require;
    const std::string_view input{reinterpret_cast<const char*>(data), size};
    const auto end = input.find('\0');
    const Message message{{"text", std::string{end == input.npos ? input : input.substr(end + 1)}}};
    if (const auto made = MessageTemplate::parse(input.substr(0, end))) {
        require(made->text() == input.substr(0, end));
        for (const auto escape : {Escape::none, Escape::json, Escape::url, Escape::header})
            (void)made->render(message, escape);
    }
    const auto alone = MessageTemplate::parse("{{ text }}");
    boost::json::error_code error;
    const auto json = boost::json::parse("\"" + alone->render(message, Escape::json) + "\"", error);
    require(!error && json.as_string() == valid_utf8(message.at("text")));
    require(alone->render(message, Escape::header).find_first_of("\r\n") == std::string::npos);
    require(alone->render(message, Escape::url).find_first_of("&=# \r\n\"<>") == std::string::npos);
    return 0;
}
