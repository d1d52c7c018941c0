#include "tests/catch.hpp"
#include "tests/unit/certificates.hpp"

#include "exporters/door/web_config.hpp"

#include <fmt/format.h>

using namespace keepwell;
using namespace keepwell::test;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

namespace {

const std::string hash = "$2b$04$hupZYd7fdSokiIRLxbaMpOYySy/bP.AMBiJYGrhEfJcSn9sI4wPU2";

LoadedWebConfig parsed(const std::string& text) { return parse_web_config(text, "web.yml", "/nonexistent"); }

// What TLS needs at least, and more keys of it.
std::string with_tls(const Leaf& leaf, const std::string& more)
{
    return fmt::format("tls_server_config: {{cert_file: {}, key_file: {}, {}}}", leaf.certificate_file(),
                       leaf.key_file(), more);
}

}  // namespace

TEST_CASE("web config: an empty one asks nobody who he is")
{
    const auto* text = GENERATE("", "{}", "# nothing\n", "basic_auth_users:\ntls_server_config:\n",
                                "tls_server_config: {min_version: TLS13}", "rate_limit: {interval: 0}");
    const auto loaded = parsed(text);
    CHECK(render(loaded.problems).empty());
    CHECK_FALSE(loaded.config.asks_who());
    CHECK_FALSE(loaded.config.tls_server_config.is_given());
}

TEST_CASE("web config: everything that the toolkit knows is read")
{
    const Authority authority;
    const auto leaf = authority.issue();
    const auto loaded = parsed(fmt::format(
        R"(
tls_server_config:
  cert_file: {}
  key_file: {}
  client_ca_file: {}
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [ops.example, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    [TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_CBC_SHA]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: sameorigin
    X-Content-Type-Options: nosniff
    X-XSS-Protection: "0"
    Content-Security-Policy: default-src 'self'
basic_auth_users: {{alice: {}}}
rate_limit: {{interval: 10ms, burst: 20}}
roles: {{alice: act, ops.example: read}}
)",
        leaf.certificate_file(), leaf.key_file(), authority.file(), hash));
    REQUIRE(render(loaded.problems).empty());
    const auto& config = loaded.config;
    CHECK(config.tls_server_config.cipher_suites.size() == 3);
    CHECK(config.tls_server_config.curve_preferences.front() == Curve::x25519);
    CHECK(config.http_server_config.headers.lines().size() == 5);
    CHECK(config.rate_limit == RateLimitConfig{.interval = 10ms, .burst = 20});
    CHECK(config.roles.at("alice") == WebRole::act);
    CHECK(config.asks_who());
    CHECK_FALSE(config == WebConfig{});
}

TEST_CASE("web config: what is wrong is said with its place")
{
    auto [text, words] = GENERATE(table<std::string, std::string>({
        {"- a", "expected a mapping"},
        {"basic_auth_user: {}",
         "web.yml:1:1: basic_auth_user: unknown key \"basic_auth_user\"; did you mean"},
        {"basic_auth_users: [alice]", "web.yml:1:19: basic_auth_users: expected a mapping"},
        {"basic_auth_users:\n  alice: swordfish", "web.yml:2:10: basic_auth_users.alice: not a bcrypt hash"},
        {"basic_auth_users: {a: $2b$31$hupZYd7fdSokiIRLxbaMpOYySy/bP.AMBiJYGrhEfJcSn9sI4wPU2}",
         "4 to 16, not 31"},
        {"basic_auth_users: {a: $1$salt$qJH7.N4xYta3aEG/dfqo/0}", "not a bcrypt hash"},
        {"basic_auth_users: {'a:b': " + hash + "}", "a name with a colon cannot be sent: \"a:b\""},
        {"roles: {alice: act}", "nobody is asked who he is"},
        {"basic_auth_users: {alice: " + hash + "}\nroles: {alise: act}",
         "web.yml:2:1: roles: \"alise\" is not among basic_auth_users"},
        {"basic_auth_users: {alice: " + hash + "}\nroles: {alice: root}",
         "expected read, act, found \"root\""},
        {"tls_server_config: {client_auth_type: Maybe}", "expected NoClientCert, RequestClientCert"},
        {"tls_server_config: {client_auth_type: NoClientCert}", "cert or cert_file is missing"},
        {"tls_server_config: {cert_file: none.pem}", "cannot read the secret from \"none.pem\""},
        {"tls_server_config: {cert: x, cert_file: none.pem}", "both cert and cert_file are given"},
        {"tls_server_config: {cert: x}", "key or key_file is missing"},
        {"tls_server_config: {cert: x, key: y}", "not a certificate in PEM form"},
        {"tls_server_config: {cert: x, key: y, max_version: TLS11}", "TLS 1.0 and 1.1 are not spoken"},
        {"tls_server_config: {min_version: TLS14}", "expected TLS10, TLS11, TLS12, TLS13"},
        {"tls_server_config: {cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265]}",
         "did you mean \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"?"},
        {"tls_server_config: {curve_preferences: [P256]}", "expected CurveP256, CurveP384"},
        {"http_server_config: {headers: {X-Powered-By: magic}}", "unknown key \"X-Powered-By\""},
        {"http_server_config: {headers: {X-Frame-Options: allow}}", "expected deny, sameorigin"},
        {"http_server_config: {headers: {X-XSS-Protection: \"1\\r\\nX-Evil: 1\"}}", "control characters"},
        {"rate_limit: {interval: 2h}", "expected a duration"},
        {"rate_limit: {burst: 0}", "expected a whole number"},
    }));
    const auto loaded = parsed(text);
    INFO(text);
    CHECK_FALSE(loaded.ok());
    CHECK_THAT(render(loaded.problems), ContainsSubstring(words));
    CHECK_THAT(render(loaded.problems), !ContainsSubstring("swordfish"));
}

TEST_CASE("web config: TLS that cannot be set up is refused when it is read")
{
    const Authority authority;
    static const Authority clients{"Clients"};  // the table below is made once
    const auto leaf = authority.issue();
    const auto other = authority.issue();
    const auto ca = "client_ca_file: " + clients.file();
    auto [more, words] = GENERATE_REF(table<std::string, std::string>({
        {"client_auth_type: NoClientCert", ""},
        {"min_version: TLS10", ""},
        {"client_auth_type: RequireClientCert, client_allowed_sans: [x]", ""},
        {"client_auth_type: VerifyClientCertIfGiven, " + ca, ""},
        {ca, "needed when there is a client_ca"},
        {"client_auth_type: RequireAndVerifyClientCert", "needs client_ca or client_ca_file"},
        {"client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [x], " + ca,
         "client_allowed_sans: needs"},
        {"client_auth_type: VerifyClientCertIfGiven, client_ca: nonsense", "not certificates in PEM form"},
        {"max_version: TLS12, min_version: TLS13", "max_version: is older than min_version"},
        {"max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]", "none of them is for TLS 1.2"},
    }));
    const auto loaded = parsed(with_tls(leaf, more));
    INFO(more);
    CHECK(loaded.ok() == words.empty());
    CHECK_THAT(render(loaded.problems), ContainsSubstring(words));
    const auto mixed = fmt::format("tls_server_config: {{cert_file: {}, key_file: {}}}",
                                   leaf.certificate_file(), other.key_file());
    CHECK_THAT(render(parsed(mixed).problems), ContainsSubstring("not the key of the certificate"));
}
