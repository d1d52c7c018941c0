#include "probes/digest.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace keepwell {

namespace {

struct Free {
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

constexpr int longest_key_bits = 8192;

const unsigned char* bytes_of(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string string_of(const unsigned char* bytes, std::size_t count)
{
    return {reinterpret_cast<const char*>(bytes), count};
}

}  // namespace

std::string sha1(std::string_view text)
{
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(bytes_of(text), text.size(), digest.data());
    return string_of(digest.data(), digest.size());
}

std::string sha256(std::string_view text)
{
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(bytes_of(text), text.size(), digest.data());
    return string_of(digest.data(), digest.size());
}

std::string hmac_sha256(std::string_view key, std::string_view message)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    std::size_t size = 0;
    // OpenSSL refuses a key without bytes, which RFC 2104 pads with zeros as it does any other.
    const auto padded = key.empty() ? std::string_view{"\0", 1} : key;
    if (!::EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, padded.data(), padded.size(),
                     bytes_of(message), message.size(), digest.data(), digest.size(), &size))
        throw std::runtime_error{"HMAC-SHA256 is not available"};
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[digest[i] >> 4];
        text += digits[digest[i] & 15];
    }
    return text;
}

std::optional<std::string> rsa_oaep(std::string_view public_key, std::string_view text)
{
    const std::unique_ptr<BIO, Free> bio{
        BIO_new_mem_buf(public_key.data(), static_cast<int>(public_key.size()))};
    const std::unique_ptr<EVP_PKEY, Free> key{PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr)};
    const std::unique_ptr<EVP_PKEY_CTX, Free> context{key ? EVP_PKEY_CTX_new(key.get(), nullptr) : nullptr};
    std::array<unsigned char, longest_key_bits / 8> encrypted{};
    std::size_t size = encrypted.size();
    const bool done =
        context && EVP_PKEY_get_bits(key.get()) <= longest_key_bits &&
        EVP_PKEY_encrypt_init(context.get()) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) > 0 &&
        EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, bytes_of(text), text.size()) > 0;
    ERR_clear_error();
    if (!done)
        return std::nullopt;
    return string_of(encrypted.data(), size);
}

}  // namespace keepwell
