#include "exporters/door/web_config.hpp"

#include "daemon/document.hpp"
#include "daemon/file_text.hpp"
#include "daemon/reader.hpp"
#include "exporters/door/tls.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace keepwell {

namespace {

constexpr DocumentLimits limits{.bytes = 1 << 20, .values = 20'000, .depth = 16, .copied_bytes = 1 << 20};

// Those that Go offers (crypto/tls, CipherSuites), now or some versions ago.
constexpr std::array<std::string_view, 17> known_suites{
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
};

// What is wrong with how clients are asked for certificates; empty when nothing is.
std::string client_fault(const TlsServerConfig& tls)
{
    const auto auth = tls.client_auth();
    if (auth == ClientAuth::none && !tls.client_ca.empty())
        return "client_auth_type: needed when there is a client_ca: RequireAndVerifyClientCert, most likely";
    if (tls.verifies() && tls.client_ca.empty())
        return "client_auth_type: needs client_ca or client_ca_file, the authorities that sign clients' "
               "certificates";
    if (!tls.client_allowed_sans.empty() && auth != ClientAuth::require_any &&
        auth != ClientAuth::require_and_verify)
        return "client_allowed_sans: needs the client_auth_type RequireAndVerifyClientCert or "
               "RequireAnyClientCert";
    return {};
}

}  // namespace

std::expected<CipherSuite, std::string> CipherSuite::parse(std::string_view text)
{
    if (std::ranges::find(known_suites, text) != known_suites.end())
        return CipherSuite{std::string{text}};
    const auto near = nearest(text, known_suites);
    return std::unexpected(fmt::format("unknown cipher suite {}{}", shown(text),
                                       near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
}

bool CipherSuite::is_of_tls13() const { return name.find("_WITH_") == name.npos; }

bool TlsServerConfig::is_given() const
{
    return !cert.empty() || !key.empty() || !client_ca.empty() || client_auth_type ||
           !client_allowed_sans.empty();
}

std::vector<std::string> TlsServerConfig::faults() const
{
    if (!is_given())
        return {};
    if (cert.empty())
        return {"cert or cert_file is missing"};
    if (key.empty())
        return {"key or key_file is missing"};
    if (max_version < TlsVersion::tls12)
        return {"max_version: TLS 1.0 and 1.1 are not spoken"};
    if (max_version < min_version)
        return {"max_version: is older than min_version"};
    if (auto fault = client_fault(*this); !fault.empty())
        return {std::move(fault)};
    if (const auto made = TlsServer::make(*this); !made)
        return {made.error()};
    return {};
}

std::expected<HeaderValue, std::string> HeaderValue::parse(std::string_view text)
{
    if (std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        return std::unexpected("a header's value cannot hold control characters or several lines");
    return HeaderValue{std::string{text}};
}

std::vector<std::pair<std::string_view, std::string>> ExtraHeaders::lines() const
{
    std::vector<std::pair<std::string_view, std::string>> lines;
    for (const auto& row : rows_of<ExtraHeaders>())
        if (auto value = row.text(this); !value.empty())
            lines.emplace_back(row.name, std::move(value));
    return lines;
}

std::vector<std::string> WebConfig::faults() const
{
    std::vector<std::string> words;
    for (const auto& [user, hash] : basic_auth_users)
        if (user.contains(':'))
            words.push_back("basic_auth_users: a name with a colon cannot be sent: " + shown(user));
    if (!roles.empty() && !asks_who())
        words.emplace_back(
            "roles: nobody is asked who he is: basic_auth_users or client certificates (tls_server_config) "
            "are "
            "needed");
    else if (!tls_server_config.verifies())
        for (const auto& [name, role] : roles)
            if (!basic_auth_users.contains(name))
                words.push_back(
                    fmt::format("roles: {} is not among basic_auth_users, and tls_server_config checks no "
                                "certificates",
                                shown(name)));
    return words;
}

LoadedWebConfig parse_web_config(std::string_view text, const std::string& file, const std::string& directory,
                                 const Variables& variables)
{
    LoadedWebConfig loaded;
    auto document = parse_document(text, file, variables, limits);
    loaded.problems = std::move(document.problems);
    if (!document.whole)
        return loaded;
    const bool is_plain_no = document.root.is_mapping() && document.root.children.empty();
    std::erase_if(document.root.children, [](const Node& child) { return child.is_null(); });
    loaded.says_nothing = document.root.children.empty() && !is_plain_no;
    Reader reader{file, directory, loaded.problems};
    reader.read(document.root, loaded.config);
    sort_by_place(loaded.problems);
    return loaded;
}

LoadedWebConfig load_web_config(const std::string& path)
{
    const auto text = text_of_file(path, limits.bytes);
    if (!text)
        return {.problems = {{.file = path,
                              .text = "cannot read the web configuration: " + text.error(),
                              .suggestion = "check the path and its permissions"}}};
    return parse_web_config(*text, path, std::filesystem::path{path}.parent_path().string());
}

}  // namespace keepwell
