#include "probes/tls_details.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>

namespace keepwell {

namespace {

std::string hex_of(const unsigned char* bytes, std::size_t size)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i)
        (text += digits[bytes[i] >> 4]) += digits[bytes[i] & 15];
    return text;
}

std::string fingerprint(const X509* certificate)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest.data(), &size);
    return hex_of(digest.data(), size);
}

std::string serial_of(const X509* certificate)
{
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number{
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), &BN_free};
    const std::unique_ptr<char, void (*)(char*)> text{number ? BN_bn2hex(number.get()) : nullptr,
                                                      [](char* bytes) { OPENSSL_free(bytes); }};
    std::string_view digits = text ? text.get() : "";
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
    return std::string{digits};
}

// As RFC 2253 writes values: special characters after a backslash.
void add_escaped(std::string& name, std::string_view value)
{
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool at_edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.size() && c == ' ');
        if (at_edge || std::string_view{",+\"\\<>;"}.contains(c))
            name += '\\';
        name += c;
    }
}

std::string text_of(const ASN1_STRING* value)
{
    unsigned char* bytes = nullptr;
    const int size = ASN1_STRING_to_UTF8(&bytes, value);
    if (size < 0)
        return {};
    std::string text{reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
    OPENSSL_free(bytes);
    return text;
}

// In the order of Go's pkix.Name.String(), whatever order the certificate has. What has no name there is left
// out.
std::string distinguished_name(const X509_NAME* name)
{
    constexpr std::array parts{std::pair{NID_serialNumber, "SERIALNUMBER"},
                               std::pair{NID_commonName, "CN"},
                               std::pair{NID_postalCode, "POSTALCODE"},
                               std::pair{NID_streetAddress, "STREET"},
                               std::pair{NID_stateOrProvinceName, "ST"},
                               std::pair{NID_localityName, "L"},
                               std::pair{NID_organizationalUnitName, "OU"},
                               std::pair{NID_organizationName, "O"},
                               std::pair{NID_countryName, "C"}};
    std::string text;
    for (const auto& [number, key] : parts) {
        bool first = true;
        for (int at = -1; (at = X509_NAME_get_index_by_NID(name, number, at)) >= 0; first = false) {
            if (!text.empty())
                text += first ? "," : "+";
            (text += key) += "=";
            add_escaped(text, text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
        }
    }
    return text;
}

std::string dns_names_of(const X509* certificate)
{
    const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        &GENERAL_NAMES_free};
    std::string text;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const auto* each = sk_GENERAL_NAME_value(names.get(), i);
        if (each->type == GEN_DNS)
            text += (text.empty() ? "" : ",") + text_of(each->d.dNSName);
    }
    return text;
}

std::string version_of(const SSL* ssl)
{
    switch (SSL_version(ssl)) {
        case TLS1_VERSION: return "TLS 1.0";
        case TLS1_1_VERSION: return "TLS 1.1";
        case TLS1_2_VERSION: return "TLS 1.2";
        case TLS1_3_VERSION: return "TLS 1.3";
        default: return "unknown";
    }
}

}  // namespace

std::chrono::sys_seconds first_expiry(const stack_st_X509* chain)
{
    auto first = std::chrono::sys_seconds::max();
    for (int i = 0; chain && i < sk_X509_num(chain); ++i) {
        std::tm until{};
        ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, i)), &until);
        first = std::min(first, std::chrono::sys_seconds{std::chrono::seconds{::timegm(&until)}});
    }
    return first;
}

TlsDetails details_of(ssl_st* session, bool verified)
{
    TlsDetails details{.version = version_of(session)};
    if (const auto* cipher = SSL_get_current_cipher(session))
        if (const char* name = SSL_CIPHER_standard_name(cipher))
            details.cipher = name;
    if (const auto* leaf = SSL_get0_peer_certificate(session)) {
        details.fingerprint_sha256 = fingerprint(leaf);
        details.subject = distinguished_name(X509_get_subject_name(leaf));
        details.issuer = distinguished_name(X509_get_issuer_name(leaf));
        details.dns_names = dns_names_of(leaf);
        details.serial = serial_of(leaf);
    }
    if (const auto* chain = verified ? SSL_get0_verified_chain(session) : nullptr;
        chain && SSL_get_verify_result(session) == X509_V_OK)
        details.chain_expiry = first_expiry(chain);
    return details;
}

}  // namespace keepwell
