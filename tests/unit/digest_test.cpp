#include "tests/catch.hpp"

#include "probes/digest.hpp"

using namespace keepwell;

namespace {

std::string hexadecimal(const std::string& bytes)
{
    std::string digits;
    for (const char byte : bytes)
        for (const int shift : {4, 0})
            digits += "0123456789abcdef"[static_cast<unsigned char>(byte) >> shift & 15];
    return digits;
}

constexpr auto public_key = R"(-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqGKukO1De7zhZj6+H0qtjTkVxwTCpvKe4eCZ0
FPqri0cb2JZfXJ/DgYSF6vUpwmJG8wVQZKjeGcjDOL5UlsuusFncCzWBQ7RKNUSesmQRMSGkVb1/
3j+skZ6UtW+5u09lHNsj6tQ51s1SPrCBkedbNf0Tp0GbMJDyR4e9T04ZZwIDAQAB
-----END PUBLIC KEY-----
)";

}  // namespace

TEST_CASE("digests of the standards' examples")
{
    CHECK(hexadecimal(sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hexadecimal(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256("").size() == 32);
}

TEST_CASE("RSA: never twice the same, and nothing for what is no key or too long")
{
    const auto once = rsa_oaep(public_key, "secret");
    REQUIRE(once);
    CHECK(once->size() == 128);
    CHECK(rsa_oaep(public_key, "secret") != once);
    CHECK_FALSE(rsa_oaep(public_key, std::string(87, 'x')));
    CHECK_FALSE(rsa_oaep("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", "secret"));
    CHECK_FALSE(rsa_oaep("", "secret"));
}
