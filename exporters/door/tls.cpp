#include "exporters/door/tls.hpp"

#include "probes/releaser.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

namespace keepwell {

namespace {

using Bytes = std::unique_ptr<BIO, Releaser<BIO_free>>;
using Certificate = std::unique_ptr<X509, Releaser<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Releaser<GENERAL_NAMES_free>>;

// What OpenSSL says about its last error, and forgets it.
std::string last_error()
{
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "unknown error";
}

Bytes bytes_of(const Secret& text)
{
    return Bytes{BIO_new_mem_buf(text.reveal().data(), static_cast<int>(text.reveal().size()))};
}

// Without this, OpenSSL asks for the pass phrase of an encrypted key on the terminal, and waits.
int no_pass_phrase(char*, int, int, void*) { return 0; }

std::vector<Certificate> certificates_in(const Secret& text)
{
    std::vector<Certificate> all;
    const auto bytes = bytes_of(text);
    while (auto* next = PEM_read_bio_X509(bytes.get(), nullptr, no_pass_phrase, nullptr))
        all.emplace_back(next);
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end)
        all.clear();  // one of them is broken
    return all;
}

std::string use_certificate(SSL_CTX* context, const TlsServerConfig& config)
{
    const auto chain = certificates_in(config.cert);
    if (chain.empty())
        return "cert or cert_file: not a certificate in PEM form";
    if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
        return "cert or cert_file: " + last_error();
    for (auto next = chain.begin() + 1; next != chain.end(); ++next)
        SSL_CTX_add1_chain_cert(context, next->get());
    const Key key{PEM_read_bio_PrivateKey(bytes_of(config.key).get(), nullptr, no_pass_phrase, nullptr)};
    if (!key)
        return "key or key_file: not a private key in PEM form without a pass phrase";
    if (X509_check_private_key(chain.front().get(), key.get()) != 1)
        return "key or key_file: not the key of the certificate";
    return SSL_CTX_use_PrivateKey(context, key.get()) == 1 ? "" : "key or key_file: " + last_error();
}

std::string ask_for_certificate(SSL_CTX* context, const TlsServerConfig& config)
{
    const auto auth = config.client_auth();
    if (auth == ClientAuth::none)
        return {};
    const bool required = auth == ClientAuth::require_any || auth == ClientAuth::require_and_verify;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    if (!config.verifies())
        SSL_CTX_set_cert_verify_callback(context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    if (config.client_ca.empty())
        return {};
    const auto authorities = certificates_in(config.client_ca);
    if (authorities.empty())
        return "client_ca or client_ca_file: not certificates in PEM form";
    for (const auto& authority : authorities) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
        SSL_CTX_add_client_CA(context, authority.get());
    }
    return {};
}

int version_of(TlsVersion version) { return version == TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION; }

std::string choose_ciphers(SSL_CTX* context, const TlsServerConfig& config)
{
    std::string suites;
    for (const auto& suite : config.cipher_suites)
        if (!suite.is_of_tls13())
            suites += (suites.empty() ? "" : ":") + std::string{OPENSSL_cipher_name(suite.name.c_str())};
    if (!suites.empty() && SSL_CTX_set_cipher_list(context, suites.c_str()) != 1)
        return "cipher_suites: " + last_error();
    const bool only_new = suites.empty() && !config.cipher_suites.empty();
    if (only_new && config.max_version < TlsVersion::tls13)
        return "cipher_suites: none of them is for TLS 1.2";
    SSL_CTX_set_min_proto_version(context, only_new ? TLS1_3_VERSION : version_of(config.min_version));
    SSL_CTX_set_max_proto_version(context, version_of(config.max_version));
    std::string groups;
    for (const auto curve : config.curve_preferences) {
        static constexpr std::array<const char*, 4> names{"P-256", "P-384", "P-521", "X25519"};
        groups += (groups.empty() ? "" : ":") + std::string{names[static_cast<std::size_t>(curve)]};
    }
    return groups.empty() || SSL_CTX_set1_groups_list(context, groups.c_str()) == 1
               ? ""
               : "curve_preferences: " + last_error();
}

// What is the same for every context.
void set_manners(SSL_CTX* context, const TlsServerConfig& config)
{
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                            (config.prefer_server_cipher_suites ? SSL_OP_CIPHER_SERVER_PREFERENCE : 0));
    // Sessions are resumed by tickets, which cost us no memory, and only as long as this configuration lasts.
    static constexpr std::string_view name = "keepwell";
    SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(name.data()), name.size());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
}

std::string text_of(const ASN1_STRING* string)
{
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// Exactly one of the alternative names, as Go compares them: no wildcards.
bool has_name(X509* certificate, const std::string& wanted)
{
    if (X509_check_ip_asc(certificate, wanted.c_str(), 0) == 1)
        return true;
    const Names names{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        int type = 0;
        const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
        const bool is_text = type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI;
        if (is_text && text_of(static_cast<const ASN1_STRING*>(value)) == wanted)
            return true;
    }
    return false;
}

}  // namespace

struct TlsServer::Parts {
    std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>> context{SSL_CTX_new(TLS_server_method())};
    std::vector<std::string> allowed_names{};
    bool verifies = false;
};

TlsServer::TlsServer(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
TlsServer::~TlsServer() = default;

std::expected<std::shared_ptr<const TlsServer>, std::string> TlsServer::make(const TlsServerConfig& config)
{
    ERR_clear_error();
    auto parts = std::make_unique<Parts>();
    auto* context = parts->context.get();
    if (!context)
        return std::unexpected("TLS: " + last_error());
    set_manners(context, config);
    for (const auto& set : {use_certificate, ask_for_certificate, choose_ciphers})
        if (auto fault = set(context, config); !fault.empty())
            return std::unexpected(std::move(fault));
    parts->allowed_names = config.client_allowed_sans;
    parts->verifies = config.verifies();
    return std::shared_ptr<const TlsServer>{new TlsServer{std::move(parts)}};
}

struct ServerTls::Parts {
    std::unique_ptr<SSL, Releaser<SSL_free>> ssl;
};

ServerTls::ServerTls(std::shared_ptr<const TlsServer> server, int socket)
    : server_{std::move(server)},
      parts_{std::make_unique<Parts>(Parts{.ssl{SSL_new(server_->parts_->context.get())}})}
{
    if (!parts_->ssl)
        throw std::bad_alloc{};
    SSL_set_fd(parts_->ssl.get(), socket);
    SSL_set_accept_state(parts_->ssl.get());
}

ServerTls::~ServerTls() = default;

ServerTls::Step ServerTls::result_of(int code)
{
    switch (SSL_get_error(parts_->ssl.get(), code)) {
        case SSL_ERROR_NONE: return Step::done;
        case SSL_ERROR_WANT_READ: return Step::wants_read;
        case SSL_ERROR_WANT_WRITE: return Step::wants_write;
        case SSL_ERROR_SSL: failure_ = last_error(); return Step::failed;
        default: return Step::closed;
    }
}

bool ServerTls::is_allowed() const
{
    const auto& names = server_->parts_->allowed_names;
    auto* certificate = SSL_get0_peer_certificate(parts_->ssl.get());
    return names.empty() || (certificate && std::ranges::any_of(names, [&](const auto& name) {
                                 return has_name(certificate, name);
                             }));
}

ServerTls::Step ServerTls::handshake()
{
    ERR_clear_error();
    const auto step = result_of(SSL_do_handshake(parts_->ssl.get()));
    if (step != Step::done || is_allowed())
        return step;
    failure_ = "the client's certificate has none of client_allowed_sans";
    return Step::failed;
}

ServerTls::Step ServerTls::read(std::span<char> into, std::size_t& count)
{
    ERR_clear_error();
    return result_of(SSL_read_ex(parts_->ssl.get(), into.data(), into.size(), &count));
}

ServerTls::Step ServerTls::write(std::string_view bytes, std::size_t& count)
{
    ERR_clear_error();
    return result_of(SSL_write_ex(parts_->ssl.get(), bytes.data(), bytes.size(), &count));
}

void ServerTls::say_goodbye()
{
    SSL_shutdown(parts_->ssl.get());
    ERR_clear_error();
}

std::string ServerTls::client_name() const
{
    auto* certificate = SSL_get0_peer_certificate(parts_->ssl.get());
    if (!certificate || !server_->parts_->verifies)
        return {};
    const auto* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return {};
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0)
        return {};
    std::string name{reinterpret_cast<const char*>(text), static_cast<std::size_t>(size)};
    OPENSSL_free(text);
    return name;
}

}  // namespace keepwell
