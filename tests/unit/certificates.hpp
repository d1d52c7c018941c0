#pragma once

#include "tests/unit/temporary_file.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace keepwell::test {

struct LeafOptions {
    std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";  // subjectAltName
    long valid_from_days = -30;
    long valid_until_days = 30;
};

// A certificate with its key, in PEM files that go with it; made by an Authority.
class Leaf {
public:
    std::string certificate_file() const { return certificate_->path(); }
    std::string key_file() const { return key_->path(); }

private:
    friend class Authority;
    std::shared_ptr<TemporaryFile> certificate_ = std::make_shared<TemporaryFile>();
    std::shared_ptr<TemporaryFile> key_ = std::make_shared<TemporaryFile>();
};

// A certificate authority that lives as long as the test.
class Authority {
public:
    explicit Authority(const char* name = "Test Authority")
        : key_{new_key()}, certificate_{new_certificate(key_.get(), name, {.names = {}}, 3650)}
    {
        extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
        sign(certificate_.get(), certificate_.get());
        write(file_, [this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
    }
    std::string file() const { return file_.path(); }

    Leaf issue(const LeafOptions& options = {}) const
    {
        const auto key = new_key();
        const auto certificate = new_certificate(key.get(), "leaf", options, options.valid_until_days);
        extend(certificate.get(), NID_subject_alt_name, options.names.c_str());
        sign(certificate.get(), certificate_.get());
        Leaf leaf;
        write(*leaf.certificate_, [&](BIO* out) { PEM_write_bio_X509(out, certificate.get()); });
        write(*leaf.key_, [&](BIO* out) {
            PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
        return leaf;
    }

private:
    using Key = std::shared_ptr<EVP_PKEY>;
    using Certificate = std::shared_ptr<X509>;

    static Key new_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }
    static Certificate new_certificate(EVP_PKEY* key, const char* name, const LeafOptions& options,
                                       long until_days)
    {
        static long serial = 1;
        const Certificate certificate{X509_new(), X509_free};
        X509_set_version(certificate.get(), X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), options.valid_from_days * 86'400);
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until_days * 86'400);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
        X509_set_pubkey(certificate.get(), key);
        return certificate;
    }
    static void extend(X509* certificate, int kind, const char* value)
    {
        auto* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    void sign(X509* certificate, const X509* issuer) const
    {
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
        X509_sign(certificate, key_.get(), EVP_sha256());
    }
    template <class Put>
    static void write(TemporaryFile& file, Put put)
    {
        const std::unique_ptr<BIO, decltype(&BIO_free_all)> out{BIO_new(BIO_s_mem()), BIO_free_all};
        put(out.get());
        char* text = nullptr;
        const auto size = BIO_get_mem_data(out.get(), &text);
        file.write({text, static_cast<std::size_t>(size)});
    }

    Key key_;
    Certificate certificate_;
    TemporaryFile file_{};
};

}  // namespace keepwell::test
