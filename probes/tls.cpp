#include "probes/tls.hpp"

#include "probes/file_stamp.hpp"
#include "probes/releaser.hpp"
#include "probes/tls_details.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

using Context = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Releaser<SSL_free>>;

// What OpenSSL says about its last error, and forgets it.
std::string last_error()
{
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code))
        return std::strerror(ERR_GET_REASON(code));
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "unknown error";
}

[[noreturn]] void unusable(Reason reason, const std::string& key, const std::string& file)
{
    throw Failure{not_attempted(reason, key + " " + file + ": " + last_error())};
}

// The trusted authorities of this machine, shared by all contexts. The bundle in one file costs milliseconds
// and megabytes; a directory with hashed names (update-ca-certificates(8)) is read certificate by
// certificate, as needed.
X509_STORE* system_authorities()
{
    static X509_STORE* const store = [] {
        auto* fresh = X509_STORE_new();
        const char* directory = std::getenv(X509_get_default_cert_dir_env());
        const std::filesystem::path path = directory ? directory : X509_get_default_cert_dir();
        bool is_hashed = false;
        std::error_code unreadable;
        for (const auto& entry : std::filesystem::directory_iterator{path, unreadable})
            is_hashed = is_hashed || entry.path().extension() == ".0";
        if (is_hashed && !std::getenv(X509_get_default_cert_file_env()))
            X509_STORE_load_path(fresh, path.c_str());
        else
            X509_STORE_set_default_paths(fresh);
        ERR_clear_error();
        return fresh;
    }();
    return store;
}

void trust(SSL_CTX* context, const TlsOptions& options)
{
    if (options.insecure) {
        SSL_CTX_set_cert_verify_callback(context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    } else if (options.ca_file.empty()) {
        SSL_CTX_set1_cert_store(context, system_authorities());
    } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
        unusable(Reason::bad_configuration, "ca_file", options.ca_file);
    }
}

void identify(SSL_CTX* context, const TlsOptions& options)
{
    if (options.certificate_file.empty() && options.key_file.empty())
        return;
    const auto& certificate = options.certificate_file;
    const auto& key = options.key_file.empty() ? certificate : options.key_file;
    if (certificate.empty())
        throw Failure{not_attempted(Reason::bad_configuration, "key_file needs a certificate_file")};
    // Without this, OpenSSL asks for the pass phrase of an encrypted key on the terminal, and waits.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
        unusable(Reason::bad_configuration, "certificate_file", certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        unusable(::access(key.c_str(), R_OK) == 0 ? Reason::bad_configuration : Reason::secret_unreadable,
                 "key_file", key);
}

// The number of `TLS12` and the like; 0 for none.
int version_number(std::string_view name)
{
    constexpr std::array numbers{std::pair{std::string_view{"TLS10"}, TLS1_VERSION},
                                 std::pair{std::string_view{"TLS11"}, TLS1_1_VERSION},
                                 std::pair{std::string_view{"TLS12"}, TLS1_2_VERSION},
                                 std::pair{std::string_view{"TLS13"}, TLS1_3_VERSION}};
    for (const auto& [known, number] : numbers)
        if (name == known)
            return number;
    return 0;
}

// What every context is set to.
void set_manners(SSL_CTX* context, const TlsOptions& options)
{
    const auto least = options.min_version.empty() ? TLS1_2_VERSION : version_number(options.min_version);
    SSL_CTX_set_min_proto_version(context, least);
    SSL_CTX_set_max_proto_version(context, version_number(options.max_version));
    if (least < TLS1_2_VERSION)  // whose signatures are below what OpenSSL takes otherwise
        SSL_CTX_set_cipher_list(context, "DEFAULT@SECLEVEL=0");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    // The certificate is judged when the handshake is over, so that its facts are known even when it is bad;
    // nothing of ours is sent before.
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
}

Context made_context(const TlsOptions& options)
{
    ERR_clear_error();
    Context context{SSL_CTX_new(TLS_client_method())};
    if (!context)
        throw Failure{not_attempted(Reason::resource_exhausted, "TLS: " + last_error())};
    set_manners(context.get(), options);
    trust(context.get(), options);
    identify(context.get(), options);
    return context;
}

// Contexts are made once for all probes with the same files, and again when a file has changed.
SSL_CTX* context_for(const TlsOptions& options)
{
    using Key = std::tuple<std::string, std::string, std::string, bool, std::string, std::string>;
    struct Entry {
        std::array<FileStamp, 3> stamps{};
        Context context{};
    };
    thread_local std::map<Key, Entry> contexts;
    constexpr std::size_t most = 1024;

    const std::array stamps{FileStamp::of(options.ca_file), FileStamp::of(options.certificate_file),
                            FileStamp::of(options.key_file)};
    Key key{options.ca_file,  options.certificate_file, options.key_file,
            options.insecure, options.min_version,      options.max_version};
    if (contexts.size() >= most && !contexts.contains(key))
        contexts.clear();
    auto& entry = contexts[std::move(key)];
    if (!entry.context || entry.stamps != stamps) {
        entry.context.reset();
        entry.context = made_context(options);
        entry.stamps = stamps;
    }
    return entry.context.get();
}

std::string server_of(const TlsOptions& options, const std::string& host)
{
    auto server = options.server_name.empty() ? host : options.server_name;
    if (server.ends_with('.'))
        server.pop_back();
    return server;
}

// Whose certificate it has to be.
void expect(X509_VERIFY_PARAM* param, const std::string& server)
{
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_numeric_address(server))
        X509_VERIFY_PARAM_set1_ip_asc(param, server.c_str());
    else
        X509_VERIFY_PARAM_set1_host(param, server.c_str(), server.size());
}

// OpenSSL between two buffers in memory; the bytes travel through Asio, which neither blocks nor raises
// SIGPIPE.
class Layer : public TlsLayer {
public:
    Layer(SSL_CTX* context, const std::string& server)
        : ssl_{SSL_new(context)}, received_{BIO_new(BIO_s_mem())}, to_send_{BIO_new(BIO_s_mem())}
    {
        SSL_set_bio(ssl_.get(), received_, to_send_);  // owns both
        SSL_set_connect_state(ssl_.get());
        expect(SSL_get0_param(ssl_.get()), server);
        if (!is_numeric_address(server))
            SSL_set_tlsext_host_name(ssl_.get(), server.c_str());
    }

    asio::awaitable<void> handshake(asio::ip::tcp::socket& socket)
    {
        co_await drive(socket, Step::handshake, nullptr, 0);
    }
    asio::awaitable<std::size_t> read_some(asio::ip::tcp::socket& socket, std::span<char> into) override
    {
        return drive(socket, Step::read, into.data(), into.size());
    }
    asio::awaitable<void> write(asio::ip::tcp::socket& socket, std::string_view bytes) override
    {
        co_await drive(socket, Step::write, const_cast<char*>(bytes.data()), bytes.size());
    }
    SSL* ssl() const { return ssl_.get(); }

private:
    enum class Step { handshake, read, write };

    int take(Step step, char* data, std::size_t size, std::size_t& done)
    {
        ERR_clear_error();
        switch (step) {
            case Step::handshake: return SSL_do_handshake(ssl_.get());
            case Step::read: return SSL_read_ex(ssl_.get(), data, size, &done);
            case Step::write: return SSL_write_ex(ssl_.get(), data, size, &done);
        }
        return 0;
    }

    // Repeats one step of OpenSSL's until it is done, and carries the bytes that it has or wants.
    asio::awaitable<std::size_t> drive(asio::ip::tcp::socket& socket, Step step, char* data, std::size_t size)
    {
        for (;;) {
            std::size_t done = 0;
            const int code = take(step, data, size, done);
            const int state = SSL_get_error(ssl_.get(), code);
            if (state == SSL_ERROR_SSL)
                throw Failure{rejected(Reason::tls_failure, "TLS: " + last_error())};
            co_await flush(socket);
            if (state == SSL_ERROR_NONE)
                co_return done;
            if (state == SSL_ERROR_ZERO_RETURN)
                throw boost::system::system_error{asio::error::eof};
            if (state == SSL_ERROR_WANT_READ)
                co_await fill(socket);
            else if (state != SSL_ERROR_WANT_WRITE)
                throw Failure{not_attempted(Reason::internal_error, "TLS: unexpected state")};
        }
    }

    asio::awaitable<void> flush(asio::ip::tcp::socket& socket)
    {
        char* bytes = nullptr;
        auto left = static_cast<std::size_t>(BIO_get_mem_data(to_send_, &bytes));
        for (std::size_t sent = 0; left > 0; left -= sent, bytes += sent)
            sent = co_await socket.async_write_some(asio::buffer(bytes, left), asio::use_awaitable);
        BIO_reset(to_send_);
    }

    asio::awaitable<void> fill(asio::ip::tcp::socket& socket)
    {
        std::array<char, 4096> bytes;
        const auto count = co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
        BIO_write(received_, bytes.data(), static_cast<int>(count));
    }

    Session ssl_;
    BIO* received_;
    BIO* to_send_;
};

TlsSession session_of(SSL* ssl) { return {.earliest_expiry = first_expiry(SSL_get_peer_cert_chain(ssl))}; }

void judge(SSL* ssl, const std::string& server)
{
    const auto result = SSL_get_verify_result(ssl);
    const std::string why = X509_verify_cert_error_string(result);
    switch (result) {
        case X509_V_OK: return;
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID: throw Failure{rejected(Reason::certificate_expired, why)};
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            throw Failure{
                rejected(Reason::certificate_name_mismatch, "the certificate is not for " + server)};
        default: throw Failure{rejected(Reason::certificate_untrusted, why)};
    }
}

}  // namespace

asio::awaitable<TlsSession> start_tls(Stream& stream, const TlsOptions& options, const std::string& host,
                                      Progress& progress)
{
    progress.enter(Phase::tls);
    auto layer = std::make_unique<Layer>(context_for(options), server_of(options, host));
    co_await layer->handshake(stream.socket());
    const auto session = judge_tls(layer->ssl(), options, host, progress);
    stream.protect(std::move(layer));
    co_return session;
}

void set_up_tls(void* context, const TlsOptions& options, const std::string& host)
{
    auto* own = static_cast<SSL_CTX*>(context);
    auto* shared = context_for(options);
    set_manners(own, options);
    if (options.insecure)
        trust(own, options);
    else
        SSL_CTX_set1_cert_store(own, SSL_CTX_get_cert_store(shared));
    if (auto* certificate = SSL_CTX_get0_certificate(shared)) {
        STACK_OF(X509)* chain = nullptr;
        SSL_CTX_get0_chain_certs(shared, static_cast<void*>(&chain));
        SSL_CTX_use_certificate(own, certificate);
        SSL_CTX_set1_chain(own, chain);
        SSL_CTX_use_PrivateKey(own, SSL_CTX_get0_privatekey(shared));
    }
    expect(SSL_CTX_get0_param(own), server_of(options, host));
}

TlsSession judge_tls(void* session, const TlsOptions& options, const std::string& host, Progress& progress)
{
    auto* ssl = static_cast<SSL*>(session);
    auto facts = session_of(ssl);
    if (options.describe)
        facts.details = details_of(ssl, !options.insecure);
    const auto expiry = facts.earliest_expiry.time_since_epoch();
    progress.note("certificate_expiry_timestamp_seconds", std::chrono::duration<double>{expiry}.count());
    if (!options.insecure)
        judge(ssl, server_of(options, host));
    return facts;
}

std::optional<Verdict> expires_within(const TlsSession& session, int days)
{
    using namespace std::chrono;
    const auto left = session.earliest_expiry - floor<seconds>(system_clock::now());
    if (left >= std::chrono::days{days})
        return std::nullopt;
    if (left < 0s)
        return rejected(Reason::certificate_expired, "the certificate has expired");
    const auto hours_left = duration_cast<hours>(left).count();
    return rejected(Reason::certificate_expiring, "the certificate expires in " +
                                                      std::to_string(hours_left / 24) + " days and " +
                                                      std::to_string(hours_left % 24) + " hours");
}

}  // namespace keepwell
