#include "exporters/blackbox/attempt.hpp"
#include "exporters/blackbox/lookup.hpp"
#include "probes/dial.hpp"
#include "probes/dns_message.hpp"
#include "probes/stream.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

namespace keepwell::blackbox {

namespace {

constexpr Gauge phases{"probe_dns_duration_seconds", "Time of each phase."};
constexpr Gauge answers{"probe_dns_answer_rrs", "Records in the answer section."};
constexpr Gauge authorities{"probe_dns_authority_rrs", "Records in the authority section."};
constexpr Gauge additionals{"probe_dns_additional_rrs", "Records in the additional section."};
constexpr Gauge succeeded{"probe_dns_query_succeeded", "Whether the server answered, whatever it said."};
constexpr Gauge serial{"probe_dns_serial", "Serial number of the zone."};

struct Question {
    std::uint16_t id = 0;
    std::string wire{};
    asio::ip::address server{};
    std::string server_name{};
    std::uint16_t port = 0;
    std::optional<asio::ip::address> from{};
};

std::optional<DnsMessage> answer_to(const Question& question, std::string_view bytes)
{
    auto message = parse_dns_message(bytes);
    if (message && message->is_response && message->id == question.id)
        return message;
    return {};
}

// What answers something else may be anybody's, and is passed over.
asio::awaitable<DnsMessage> ask_by_udp(const Question& question, SharedAttempt attempt)
{
    using asio::ip::udp;
    const auto begun = Clock::now();
    udp::socket socket{co_await asio::this_coro::executor};
    socket.open(question.server.is_v4() ? udp::v4() : udp::v6());
    if (question.from)
        socket.bind({*question.from, 0});
    socket.connect({question.server, question.port});
    const auto connected = Clock::now();
    attempt->sheet.set_phase(phases, "connect", seconds(connected - begun));
    co_await socket.async_send(asio::buffer(question.wire), asio::use_awaitable);
    std::vector<char> bytes(65'535);
    for (;;) {
        const auto size = co_await socket.async_receive(asio::buffer(bytes), asio::use_awaitable);
        attempt->sheet.set_phase(phases, "request", seconds(Clock::now() - connected));
        if (auto message = answer_to(question, {bytes.data(), size}))
            co_return *std::move(message);
    }
}

asio::awaitable<std::string> read_exactly(Stream& stream, std::size_t count)
{
    std::string bytes(count, '\0');
    for (std::size_t done = 0; done < count;)
        done += co_await stream.read_some({bytes.data() + done, count - done});
    co_return bytes;
}

// Each message follows its length (RFC 1035 §4.2.2).
asio::awaitable<DnsMessage> ask_by_tcp(const Question& question, SharedAttempt attempt)
{
    const auto& module = *attempt->module().dns;
    const auto begun = Clock::now();
    Stream stream{co_await dial({question.server, question.port}, question.from)};
    if (module.dns_over_tls) {
        Progress progress{attempt->deadline()};
        const auto options = module.tls_config.options();
        co_await start_tls(stream, options, question.server_name, progress);
    }
    const auto connected = Clock::now();
    attempt->sheet.set_phase(phases, "connect", seconds(connected - begun));
    const auto size = question.wire.size();
    co_await stream.write(std::string{static_cast<char>(size >> 8), static_cast<char>(size & 0xff)} +
                          question.wire);
    const auto head = co_await read_exactly(stream, 2);
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(head[0])) << 8 |
                        static_cast<unsigned char>(head[1]);
    const auto bytes = co_await read_exactly(stream, length);
    attempt->sheet.set_phase(phases, "request", seconds(Clock::now() - connected));
    auto message = answer_to(question, bytes);
    if (!message)
        throw Failure{
            rejected(Reason::protocol_error, "the answer is no DNS message, or to another question")};
    co_return *std::move(message);
}

// ---- the judgement ----

bool matches_any(const std::vector<Pattern>& patterns, const std::string& text)
{
    return std::ranges::any_of(patterns, [&](const auto& each) { return each.found_in(text); });
}

bool matches_all(const std::vector<Pattern>& patterns, const std::string& text)
{
    return std::ranges::all_of(patterns, [&](const auto& each) { return each.found_in(text); });
}

// As blackbox_exporter judges: with fail_if_all_match_regexp it is a failure unless all records match all of
// it, whatever its name says.
bool are_good(const std::vector<DnsRecord>& records, const RecordRules& rules, std::string_view section,
              Attempt& attempt)
{
    const auto fail = [&](std::string_view why, const std::string& record = {}) {
        return attempt.fail(why, {{"section", std::string{section}}, {"record", record}});
    };
    if (records.empty() &&
        !(rules.fail_if_not_matches_regexp.empty() && rules.fail_if_none_matches_regexp.empty()))
        return fail("there are no records, and some must match");
    bool all = true, any = false;
    for (const auto& record : records) {
        const auto text = record.text();
        attempt.info("record", {{"section", std::string{section}}, {"record", text}});
        if (matches_any(rules.fail_if_matches_regexp, text))
            return fail("a record matches fail_if_matches_regexp", text);
        if (!matches_all(rules.fail_if_not_matches_regexp, text))
            return fail("a record does not match fail_if_not_matches_regexp", text);
        all = all && matches_all(rules.fail_if_all_match_regexp, text);
        any = any || matches_any(rules.fail_if_none_matches_regexp, text);
    }
    if (!rules.fail_if_all_match_regexp.empty() && !all)
        return fail("not all records match fail_if_all_match_regexp");
    if (!rules.fail_if_none_matches_regexp.empty() && !any)
        return fail("no record matches fail_if_none_matches_regexp");
    return true;
}

bool has_good_rcode(const DnsModule& module, const DnsMessage& message, Attempt& attempt)
{
    const auto is_rcode = [&](const std::string& name) { return dns_rcode(name) == message.rcode; };
    const bool good =
        module.valid_rcodes.empty() ? message.rcode == 0 : std::ranges::any_of(module.valid_rcodes, is_rcode);
    return good ||
           attempt.fail("the response code is not a valid one", {{"rcode", dns_rcode_name(message.rcode)}});
}

bool judge(const DnsModule& module, const DnsMessage& message, Attempt& attempt)
{
    auto& sheet = attempt.sheet;
    sheet.set(succeeded, 1);
    sheet.set(answers, static_cast<double>(message.answers.size()));
    sheet.set(authorities, static_cast<double>(message.authorities.size()));
    sheet.set(additionals, static_cast<double>(message.additionals.size()));
    if (module.query_type == "SOA") {
        sheet.set(serial, 0);
        for (const auto& record : message.answers)
            if (record.type == *dns_type("SOA"))
                sheet.set(serial, record.serial);
    }
    return has_good_rcode(module, message, attempt) &&
           are_good(message.answers, module.validate_answer_rrs, "answer", attempt) &&
           are_good(message.authorities, module.validate_authority_rrs, "authority", attempt) &&
           are_good(message.additionals, module.validate_additional_rrs, "additional", attempt);
}

// `host`, `host:port`, `[::1]:port` or `::1`.
std::pair<std::string, std::string> target_of(const Attempt& attempt)
{
    if (auto split = split_port(attempt.target()))
        return *split;
    return {attempt.target(), attempt.module().dns->dns_over_tls ? "853" : "53"};
}

}  // namespace

asio::awaitable<bool> probe_dns(SharedAttempt attempt)
{
    const auto& module = *attempt->module().dns;
    auto& sheet = attempt->sheet;
    for (const auto& each : {answers, authorities, additionals, succeeded})
        sheet.set(each, 0);
    for (const auto* phase : {"resolve", "connect", "request"})
        sheet.set_phase(phases, phase, 0);
    const auto [host, port] = target_of(*attempt);
    Question question{.id = static_cast<std::uint16_t>(std::random_device{}()), .server_name = host};
    if (std::from_chars(port.data(), port.data() + port.size(), question.port).ptr !=
        port.data() + port.size())
        co_return attempt->fail("the target's port is no number");
    auto wire = dns_query(question.id, module.query_name, *dns_type(module.query_type),
                          *dns_class(module.query_class), module.recursion_desired);
    if (!wire)
        co_return attempt->fail("query_name cannot be asked for");
    question.wire = *std::move(wire);
    const auto begun = Clock::now();
    const auto address =
        co_await look_up(host, module.preferred_ip_protocol, module.ip_protocol_fallback, attempt);
    sheet.set_phase(phases, "resolve", seconds(Clock::now() - begun));
    if (!address)
        co_return false;
    question.server = *address;
    boost::system::error_code none;
    if (const auto from = asio::ip::make_address(module.source_ip_address, none); !none)
        question.from = from;
    attempt->info("asks", {{"name", module.query_name}, {"type", module.query_type}});
    DnsMessage message;
    if (module.transport_protocol == "tcp")
        message = co_await ask_by_tcp(question, attempt);
    else
        message = co_await ask_by_udp(question, attempt);
    co_return judge(module, message, *attempt);
}

}  // namespace keepwell::blackbox
