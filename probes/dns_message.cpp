#include "probes/dns_message.hpp"

#include <fmt/format.h>
#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace keepwell {

namespace {

namespace asio = boost::asio;

struct Number {
    std::string_view name;
    std::uint16_t number;
};

constexpr std::array types{
    Number{"A", 1},      Number{"NS", 2},          Number{"CNAME", 5},       Number{"SOA", 6},
    Number{"PTR", 12},   Number{"HINFO", 13},      Number{"MX", 15},         Number{"TXT", 16},
    Number{"RP", 17},    Number{"AFSDB", 18},      Number{"SIG", 24},        Number{"KEY", 25},
    Number{"AAAA", 28},  Number{"LOC", 29},        Number{"SRV", 33},        Number{"NAPTR", 35},
    Number{"CERT", 37},  Number{"DNAME", 39},      Number{"OPT", 41},        Number{"DS", 43},
    Number{"SSHFP", 44}, Number{"RRSIG", 46},      Number{"NSEC", 47},       Number{"DNSKEY", 48},
    Number{"NSEC3", 50}, Number{"NSEC3PARAM", 51}, Number{"TLSA", 52},       Number{"SMIMEA", 53},
    Number{"CDS", 59},   Number{"CDNSKEY", 60},    Number{"OPENPGPKEY", 61}, Number{"CSYNC", 62},
    Number{"SVCB", 64},  Number{"HTTPS", 65},      Number{"SPF", 99},        Number{"IXFR", 251},
    Number{"AXFR", 252}, Number{"ANY", 255},       Number{"URI", 256},       Number{"CAA", 257},
};
constexpr std::array classes{Number{"IN", 1}, Number{"CS", 2},     Number{"CH", 3},
                             Number{"HS", 4}, Number{"NONE", 254}, Number{"ANY", 255}};
constexpr std::array rcodes{
    Number{"NOERROR", 0},  Number{"FORMERR", 1}, Number{"SERVFAIL", 2},  Number{"NXDOMAIN", 3},
    Number{"NOTIMP", 4},   Number{"REFUSED", 5}, Number{"YXDOMAIN", 6},  Number{"YXRRSET", 7},
    Number{"NXRRSET", 8},  Number{"NOTAUTH", 9}, Number{"NOTZONE", 10},  Number{"BADSIG", 16},
    Number{"BADVERS", 16}, Number{"BADKEY", 17}, Number{"BADTIME", 18},  Number{"BADMODE", 19},
    Number{"BADNAME", 20}, Number{"BADALG", 21}, Number{"BADTRUNC", 22}, Number{"BADCOOKIE", 23},
};

std::optional<std::uint16_t> number_of(std::span<const Number> known, std::string_view name)
{
    const auto found = std::ranges::find(known, name, &Number::name);
    return found == known.end() ? std::nullopt : std::optional{found->number};
}

std::string name_of(std::span<const Number> known, std::string_view prefix, std::uint16_t number)
{
    const auto found = std::ranges::find(known, number, &Number::number);
    return found == known.end() ? fmt::format("{}{}", prefix, number) : std::string{found->name};
}

// A byte in a text of a zone file.
void add_escaped(std::string& text, char c, std::string_view special)
{
    const auto byte = static_cast<unsigned char>(c);
    if (special.contains(c))
        (text += '\\') += c;
    else if (byte < ' ' || byte > '~')
        text += fmt::format("\\{:03}", byte);
    else
        text += c;
}

// Reads a message from its beginning; once it has run over its end, `good` is false and all is zero.
class Wire {
public:
    explicit Wire(std::string_view bytes) : bytes_{bytes} {}

    bool good() const { return good_; }
    std::size_t at() const { return at_; }
    std::size_t left() const { return bytes_.size() - at_; }

    std::uint16_t u8()
    {
        if (left() < 1)
            return fail();
        return static_cast<unsigned char>(bytes_[at_++]);
    }
    std::uint16_t u16()
    {
        const auto high = u8();
        return static_cast<std::uint16_t>(high << 8 | u8());
    }
    std::uint32_t u32()
    {
        const std::uint32_t high = u16();
        return high << 16 | u16();
    }
    std::string_view take(std::size_t count)
    {
        if (left() < count) {
            fail();
            return {};
        }
        at_ += count;
        return bytes_.substr(at_ - count, count);
    }
    // A name with its dot at the end; pointers (RFC 1035 §4.1.4) lead back only, so that they end.
    std::string name();
    // A character string in quotes.
    std::string quoted()
    {
        std::string text = "\"";
        for (const char c : take(u8()))
            add_escaped(text, c, "\"\\");
        return text + '"';
    }

private:
    std::uint16_t fail()
    {
        good_ = false;
        at_ = bytes_.size();
        return 0;
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
    bool good_ = true;
};

std::string Wire::name()
{
    std::string text;
    std::optional<std::size_t> after;
    for (std::size_t lowest = at_; good_;) {
        const auto length = u8();
        if (length == 0)
            break;
        if (length >= 0xc0) {
            const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | u8();
            after = after.value_or(at_);
            if (target >= lowest)
                fail();
            else
                at_ = lowest = target;
            continue;
        }
        const auto label = length < 64 ? take(length) : std::string_view{};
        if (label.empty() || text.size() > 4 * 255)
            fail();
        for (const char c : label)
            add_escaped(text, c, ". '@;()\"\\");
        text += '.';
    }
    if (after && good_)
        at_ = *after;
    return text.empty() ? "." : text;
}

std::string address_text(std::string_view bytes)
{
    if (bytes.size() == 4) {
        asio::ip::address_v4::bytes_type four{};
        std::ranges::copy(bytes, four.begin());
        return asio::ip::address_v4{four}.to_string();
    }
    asio::ip::address_v6::bytes_type sixteen{};
    std::ranges::copy(bytes, sixteen.begin());
    return asio::ip::address_v6{sixteen}.to_string();
}

std::string unknown_text(std::string_view bytes)
{
    std::string text = fmt::format("\\# {} ", bytes.size());
    for (const unsigned char byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

std::string texts(Wire& wire, std::size_t end)
{
    std::string text;
    while (wire.good() && wire.at() < end)
        text += (text.empty() ? "" : " ") + wire.quoted();
    return text;
}

std::string soa_text(Wire& wire, DnsRecord& record)
{
    auto text = wire.name();
    text += " " + wire.name();
    record.serial = wire.u32();
    text += fmt::format(" {}", record.serial);
    for (int i = 0; i < 4; ++i)
        text += fmt::format(" {}", wire.u32());
    return text;
}

std::string srv_text(Wire& wire)
{
    const auto priority = wire.u16();
    const auto weight = wire.u16();
    const auto port = wire.u16();
    return fmt::format("{} {} {} {}", priority, weight, port, wire.name());
}

std::string caa_text(Wire& wire, std::size_t end)
{
    const auto flags = wire.u8();
    const auto tag = wire.take(wire.u8());
    auto text = fmt::format("{} {} \"", flags, tag);
    for (const char c : wire.take(end - std::min(end, wire.at())))
        add_escaped(text, c, "\"\\");
    return text + '"';
}

// The data of a record, of which there are `size` bytes.
void read_data(Wire& wire, std::size_t size, DnsRecord& record)
{
    const auto end = wire.at() + size;
    switch (record.type) {
        case 2:
        case 5:
        case 12:
        case 39: record.data = wire.name(); return;
        case 6: record.data = soa_text(wire, record); return;
        case 15:
            record.data = fmt::format("{} ", wire.u16());
            record.data += wire.name();
            return;
        case 13:
        case 16:
        case 99: record.data = texts(wire, end); return;
        case 33: record.data = srv_text(wire); return;
        case 257: record.data = caa_text(wire, end); return;
        default: break;
    }
    const auto bytes = wire.take(size);
    const bool is_address = (record.type == 1 && size == 4) || (record.type == 28 && size == 16);
    record.data = is_address ? address_text(bytes) : unknown_text(bytes);
}

bool read_records(Wire& wire, std::size_t count, std::vector<DnsRecord>& records)
{
    for (; count > 0 && wire.good(); --count) {
        DnsRecord record{.owner = wire.name()};
        record.type = wire.u16();
        record.kind = wire.u16();
        record.ttl = wire.u32();
        const std::size_t size = wire.u16();
        if (size > wire.left())
            return false;
        const auto end = wire.at() + size;
        read_data(wire, size, record);
        if (!wire.good() || wire.at() != end)
            return false;
        records.push_back(std::move(record));
    }
    return wire.good();
}

void put16(std::string& wire, std::uint16_t value)
{
    wire += static_cast<char>(value >> 8);
    wire += static_cast<char>(value & 0xff);
}

}  // namespace

std::optional<std::uint16_t> dns_type(std::string_view name)
{
    std::uint16_t number = 0;
    if (name.starts_with("TYPE")) {
        const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), number);
        return error == std::errc{} && end == name.data() + name.size() ? std::optional{number}
                                                                        : std::nullopt;
    }
    return number_of(types, name);
}

std::optional<std::uint16_t> dns_class(std::string_view name) { return number_of(classes, name); }
std::optional<std::uint16_t> dns_rcode(std::string_view name) { return number_of(rcodes, name); }
std::string dns_rcode_name(std::uint16_t rcode) { return name_of(rcodes, "RCODE", rcode); }

std::string DnsRecord::text() const
{
    return fmt::format("{}\t{}\t{}\t{}\t{}", owner, ttl, name_of(classes, "CLASS", kind),
                       name_of(types, "TYPE", type), data);
}

std::optional<std::string> dns_query(std::uint16_t id, std::string_view name, std::uint16_t type,
                                     std::uint16_t kind, bool recursion_desired)
{
    std::string wire;
    put16(wire, id);
    put16(wire, recursion_desired ? 0x0100 : 0);
    for (const std::uint16_t count : {1, 0, 0, 0})
        put16(wire, count);
    const auto begin = wire.size();
    if (name.ends_with('.'))
        name.remove_suffix(1);
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        if (label.empty() || label.size() > 63)
            return {};
        wire += static_cast<char>(label.size());
        wire += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    wire += '\0';
    if (wire.size() - begin > 255)
        return {};
    put16(wire, type);
    put16(wire, kind);
    return wire;
}

std::optional<DnsMessage> parse_dns_message(std::string_view bytes)
{
    Wire wire{bytes};
    DnsMessage message{.id = wire.u16()};
    const auto flags = wire.u16();
    message.is_response = (flags & 0x8000) != 0;
    message.rcode = flags & 0x0f;
    std::array<std::size_t, 4> counts{};
    for (auto& count : counts)
        count = wire.u16();
    for (std::size_t i = 0; i < counts[0] && wire.good(); ++i) {
        wire.name();
        wire.u32();
    }
    if (!wire.good() || !read_records(wire, counts[1], message.answers) ||
        !read_records(wire, counts[2], message.authorities) ||
        !read_records(wire, counts[3], message.additionals))
        return {};
    return message;
}

}  // namespace keepwell
