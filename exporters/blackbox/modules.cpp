#include "exporters/blackbox/modules.hpp"

#include "daemon/document.hpp"
#include "daemon/reader.hpp"
#include "probes/dns_message.hpp"
#include "probes/http_field.hpp"
#include "probes/transfer.hpp"

#include <algorithm>

namespace keepwell::blackbox {

namespace {

void check_source(const std::string& address, std::vector<std::string>& faults)
{
    if (!address.empty() && !is_numeric_address(address))
        faults.push_back("source_ip_address: \"" + address + "\" is not an IPv4 or IPv6 address");
}

// Whether an Accept-Encoding header lets the server use the coding: named there, or under `*`, and not at
// q=0.
bool accepts(std::string_view header, std::string_view coding)
{
    bool others = false;
    while (!header.empty()) {
        auto part = header.substr(0, header.find(','));
        header.remove_prefix(std::min(header.size(), part.size() + 1));
        std::string text{part};
        std::erase_if(text, [](char c) { return c == ' ' || c == '\t'; });
        const auto name = text.substr(0, text.find(';'));
        const bool refused = text.ends_with(";q=0") || text.ends_with(";q=0.0");
        if (same_name(name, coding))
            return !refused;
        others = others || (name == "*" && !refused);
    }
    return others;
}

bool is_label_name(std::string_view name)
{
    const auto letter = [](char c) { return c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z'); };
    return !name.empty() && letter(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

void check_conversation(const std::vector<QueryResponse>& steps, std::vector<std::string>& faults)
{
    for (const auto& step : steps) {
        if (!step.labels.empty() && step.expect.empty())
            faults.emplace_back("query_response: labels need an expect");
        for (const auto& label : step.labels)
            if (!is_label_name(label.name))
                faults.push_back("query_response: \"" + label.name + "\" is not a label name");
    }
}

}  // namespace

std::vector<std::string> HttpModule::faults() const
{
    constexpr std::array<std::string_view, 5> codings{"", "gzip", "br", "deflate", "identity"};
    std::vector<std::string> faults;
    if (std::ranges::none_of(codings, [&](auto known) { return same_name(known, compression); }))
        faults.emplace_back("compression: expected gzip, br, deflate or identity");
    const auto note = [&](std::string fault) {
        if (!fault.empty())
            faults.push_back(std::move(fault));
    };
    if (!method.empty())
        note(method_fault(method));
    for (const auto& [name, value] : headers)
        note(header_fault(name, value));
    note(bearer_token_fault(bearer_token.reveal()));
    if (authorization &&
        !(is_token(authorization->type) && is_field_value(authorization->credentials.reveal())))
        faults.emplace_back("authorization: its type or credentials cannot be sent as a header");
    for (const auto& [name, value] : headers)
        if (same_name(name, "Accept-Encoding") && !compression.empty() && !accepts(value, compression))
            faults.push_back("headers: this Accept-Encoding does not accept the compression " + compression);
    if (int{basic_auth.has_value()} + int{authorization.has_value()} + int{!bearer_token.empty()} > 1)
        faults.emplace_back("basic_auth, authorization and bearer_token exclude each other");
    if (!proxy_url.empty() && !proxy_url.starts_with("http://"))
        faults.emplace_back("proxy_url: expected http://host:port");
    return faults;
}

std::vector<std::string> TcpModule::faults() const
{
    std::vector<std::string> faults;
    check_source(source_ip_address, faults);
    check_conversation(query_response, faults);
    return faults;
}

std::vector<std::string> IcmpModule::faults() const
{
    std::vector<std::string> faults;
    check_source(source_ip_address, faults);
    return faults;
}

std::vector<std::string> DnsModule::faults() const
{
    std::vector<std::string> faults;
    check_source(source_ip_address, faults);
    if (query_name.empty())
        faults.emplace_back("query_name is empty");
    if (!dns_type(query_type))
        faults.push_back("query_type: \"" + query_type + "\" is not a type of record");
    if (!dns_class(query_class))
        faults.push_back("query_class: \"" + query_class + "\" is not a class of records");
    if (transport_protocol != "udp" && transport_protocol != "tcp")
        faults.emplace_back("transport_protocol: expected udp or tcp");
    if (dns_over_tls && transport_protocol != "tcp")
        faults.emplace_back("dns_over_tls needs transport_protocol: tcp");
    for (const auto& code : valid_rcodes)
        if (!dns_rcode(code))
            faults.push_back("valid_rcodes: \"" + code + "\" is not a response code");
    return faults;
}

std::vector<std::string> Module::faults() const
{
    std::vector<std::string> faults;
    if (prober == Prober::dns && !dns)
        faults.emplace_back("prober dns needs dns: {query_name: ...}");
    return faults;
}

LoadedModules parse_modules(std::string_view text, const std::string& file, const std::string& directory)
{
    LoadedModules loaded;
    auto document = parse_document(text, file, {});
    loaded.problems = std::move(document.problems);
    if (document.whole) {
        Reader reader{file, directory, loaded.problems};
        reader.read(document.root, loaded.modules);
    }
    sort_by_place(loaded.problems);
    return loaded;
}

}  // namespace keepwell::blackbox
