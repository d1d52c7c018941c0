#include "tests/catch.hpp"
#include "tests/unit/temporary_file.hpp"

#include "daemon/shape.hpp"
#include "exporters/blackbox/logs.hpp"
#include "exporters/blackbox/modules.hpp"
#include "exporters/blackbox/redirect.hpp"

#include <tuple>

using namespace keepwell;
using namespace keepwell::blackbox;
using keepwell::test::TemporaryFile;

namespace {

LoadedModules load(const std::string& module)
{
    return parse_modules("modules:\n  m: " + module, "b.yml", "/");
}

const Module& only(const LoadedModules& loaded)
{
    INFO(render(loaded.problems));
    REQUIRE(loaded.ok());
    return loaded.modules.modules.at("m");
}

}  // namespace

TEST_CASE("every key of blackbox_exporter's example configuration is taken")
{
    const std::string module = GENERATE(values<std::string>({
        "{prober: http, timeout: 5s, http: {valid_http_versions: [HTTP/1.1, HTTP/2.0], valid_status_codes: "
        "[], "
        "method: GET, headers: {Host: vhost.example.com, Accept-Language: en-US}, no_follow_redirects: "
        "false, "
        "fail_if_ssl: false, fail_if_not_ssl: false, fail_if_body_matches_regexp: [no database], "
        "fail_if_body_not_matches_regexp: [latest version], fail_if_header_matches: [{header: Set-Cookie, "
        "allow_missing: true, regexp: '.*'}], fail_if_header_not_matches: [{header: "
        "Access-Control-Allow-Origin, "
        "regexp: '(\\*|example\\.com)'}], tls_config: {insecure_skip_verify: false}, preferred_ip_protocol: "
        "ip4, "
        "ip_protocol_fallback: false}}",
        "{prober: http, http: {proxy_url: \"http://127.0.0.1:3128\", skip_resolve_phase_with_proxy: true}}",
        "{prober: http, http: {method: POST, headers: {Content-Type: application/json}, body: '{}'}}",
        "{prober: http, http: {basic_auth: {username: username, password: mysecret}}}",
        "{prober: http, http: {authorization: {type: Token, credentials: mysecret}}}",
        "{prober: http, http: {bearer_token: mysecret, enable_http2: false, follow_redirects: true}}",
        "{prober: http, http: {compression: gzip, headers: {Accept-Encoding: 'br, gzip;q=0.9'}}}",
        "{prober: http, http: {compression: identity, body_size_limit: 10MB}}",
        "{prober: http, http: {tls_config: {server_name: a, min_version: TLS10, max_version: TLS13}}}",
        "{prober: http, http: }",
        "{prober: tcp, timeout: 5s, tcp: {tls: true}}",
        "{prober: tcp, tcp: {query_response: [{expect: \"OK.*STARTTLS\"}, {send: \". STARTTLS\"}, {expect: "
        "OK}, "
        "{starttls: true}, {send: \". capability\"}, {expect: CAPABILITY IMAP4rev1}]}}",
        "{prober: tcp, tcp: {query_response: [{expect: \"^220 ([^ ]+) ESMTP (.+)$\", labels: [{name: host, "
        "value: "
        "\"${1}\"}]}, {send: \"EHLO prober\\r\"}, {expect_bytes: S}]}}",
        "{prober: tcp, tcp: {query_response: [{send: NICK prober}, {expect: \"PING :([^ ]+)\", send: \"PONG "
        "${1}\"}]}}",
        "{prober: tcp, tcp: {source_ip_address: 127.0.0.1, preferred_ip_protocol: ip4, ip_protocol_fallback: "
        "false}}",
        "{prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4, source_ip_address: \"127.0.0.1\"}}",
        "{prober: icmp, icmp: {ttl: 5, payload_size: 100, dont_fragment: true}}",
        "{prober: dns, dns: {query_name: www.prometheus.io, query_type: A, valid_rcodes: [NOERROR], "
        "validate_answer_rrs: {fail_if_matches_regexp: [\".*127.0.0.1\"], fail_if_all_match_regexp: "
        "[\".*127.0.0.1\"], fail_if_not_matches_regexp: [\"www.prometheus.io.\\t300\\tIN\\tA\\t127.0.0.1\"], "
        "fail_if_none_matches_regexp: [\"127.0.0.1\"]}, validate_authority_rrs: {fail_if_matches_regexp: "
        "[x]}, "
        "validate_additional_rrs: {fail_if_matches_regexp: [x]}}}",
        "{prober: dns, dns: {query_name: prometheus.io, query_type: SOA, query_class: IN, recursion_desired: "
        "false}}",
        "{prober: dns, dns: {transport_protocol: tcp, dns_over_tls: true, tls_config: {insecure_skip_verify: "
        "true}, "
        "preferred_ip_protocol: ip4, query_name: www.prometheus.io}}",
        "{prober: grpc, grpc: {tls: true, preferred_ip_protocol: ip4}}",
        "{prober: grpc, grpc: {tls: false, service: service1, ip_protocol_fallback: false}}",
        "{prober: unix, unix: {query_response: [{send: PING}, {expect: PONG}]}}",
    }));
    const auto loaded = load(module);
    CHECK(render(loaded.problems).empty());
    CHECK_FALSE(text_of(only(loaded)).contains("mysecret"));
}

TEST_CASE("modules take the defaults of blackbox_exporter")
{
    const auto loaded = load("{prober: http}");
    const auto& module = only(loaded);
    CHECK(module.timeout.value == Clock::duration{});
    CHECK(module.http.method == "GET");
    CHECK(module.http.follow_redirects);
    CHECK(module.http.enable_http2);
    CHECK(module.http.ip_protocol_fallback);
    CHECK(module.http.preferred_ip_protocol == IpProtocol::ip6);
    CHECK(module.tcp.ip_protocol_fallback);
    const auto dns = load("{prober: dns, dns: {query_name: a}}");
    CHECK(only(dns).dns->query_type == "ANY");
    CHECK(only(dns).dns->transport_protocol == "udp");
    CHECK(only(dns).dns->recursion_desired);
}

TEST_CASE("what is wrong with a module is told with its place")
{
    using Row = std::tuple<std::string, std::string>;
    const auto [module, words] = GENERATE(values<Row>({
        {"{prober: htttp}", "b.yml:2:15: modules.m.prober: expected http, tcp"},
        {"{timeout: 5s}", "the key \"prober\" is missing"},
        {"{prober: http, http: {methd: GET}}",
         "modules.m.http.methd: unknown key \"methd\"; did you mean \"method\"?"},
        {"{prober: http, http: {oauth2: {}}}", "unknown key \"oauth2\""},
        {"{prober: http, http: {fail_if_body_matches_regexp: ['(']}}", "bad regular expression"},
        {"{prober: http, http: {fail_if_header_matches: [{header: a}]}}", "the key \"regexp\" is missing"},
        {"{prober: http, http: {compression: zip}}", "compression: expected gzip"},
        {"{prober: http, http: {method: \"GET /x HTTP/1.1\\r\\nX: y\"}}",
         "b.yml:2:28: modules.m.http.method: \"GET /x HTTP/1.1 X: y\" is not a request method"},
        {"{prober: http, http: {headers: {Bad Name: x}}}", "headers: \"Bad Name\" is not a header name"},
        {"{prober: http, http: {headers: {Ok: \"a\\r\\nb: c\"}}}",
         "headers: the value of Ok has control characters"},
        {"{prober: http, http: {bearer_token: \"a\\nb\"}}", "bearer_token: it has control characters"},
        {"{prober: http, http: {authorization: {type: a b, credentials: c}}}", "authorization: its type"},
        {"{prober: http, http: {authorization: {credentials: \"a\\nb\"}}}", "authorization: its type"},
        {"{prober: http, http: {compression: gzip, headers: {accept-encoding: 'br, gzip;q=0'}}}",
         "Accept-Encoding"},
        {"{prober: http, http: {basic_auth: {username: a}, bearer_token: b}}", "exclude each other"},
        {"{prober: http, http: {bearer_token: b, bearer_token_file: /nowhere}}", "both bearer_token and"},
        {"{prober: http, http: {bearer_token_file: /nowhere}}", "/nowhere"},
        {"{prober: http, http: {tls_config: {ca_file: /nowhere}}}", "cannot read \"/nowhere\""},
        {"{prober: http, http: {preferred_ip_protocol: ipv4}}", "expected ip6, ip4"},
        {"{prober: http, timeout: soon}", "modules.m.timeout"},
        {"{prober: dns}", "needs dns: {query_name: ...}"},
        {"{prober: dns, dns: {query_type: A}}", "the key \"query_name\" is missing"},
        {"{prober: dns, dns: {query_name: a, query_type: AAAAA}}", "not a type of record"},
        {"{prober: dns, dns: {query_name: a, valid_rcodes: [FINE]}}", "not a response code"},
        {"{prober: dns, dns: {query_name: a, dns_over_tls: true}}", "needs transport_protocol: tcp"},
        {"{prober: icmp, icmp: {ttl: 256}}", "between 0 and 255"},
        {"{prober: icmp, icmp: {source_ip_address: localhost}}", "not an IPv4 or IPv6 address"},
        {"{prober: tcp, tcp: {query_response: [{expect: a, labels: [{name: 1a, value: b}]}]}}",
         "not a label name"},
    }));
    CAPTURE(module);
    const auto loaded = load(module);
    CHECK_FALSE(loaded.ok());
    CHECK_THAT(render(loaded.problems), Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE("a dollar sign in a module is no variable")
{
    const auto loaded =
        load("{prober: tcp, tcp: {query_response: [{expect: \"^a$\", send: \"$$ ${HOME} ${1}\"}]}}");
    CHECK(only(loaded).tcp.query_response.front().send.reveal() == "$$ ${HOME} ${1}");
}

TEST_CASE("a secret of a module may be in a file")
{
    const TemporaryFile file{"t0ken\n"};
    const auto loaded = load("{prober: http, http: {bearer_token_file: " + file.path() + "}}");
    CHECK(only(loaded).http.bearer_token.reveal() == "t0ken");
}

TEST_CASE("the last attempts are remembered, and failures longer")
{
    Logs logs{3};
    const auto add = [&](const std::string& target, bool success) {
        logs.add({.attempt = std::make_shared<Attempt>("m", std::make_shared<Module>(), target, Clock::now()),
                  .success = success});
    };
    add("first", true);
    add("broken", false);
    for (int i = 0; i < 3; ++i)
        add("later", true);
    CHECK_FALSE(logs.find(0));
    REQUIRE(logs.find(1));
    CHECK(logs.find(1)->attempt->target() == "broken");
    CHECK(logs.find("later", "")->id == 4);
    CHECK(logs.find("later", "m")->id == 4);
    CHECK_FALSE(logs.find("later", "n"));
    for (int i = 0; i < 3; ++i)
        add("broken too", false);
    for (int i = 0; i < 3; ++i)
        add("later", true);
    CHECK_FALSE(logs.find(1));
    CHECK(logs.find("broken too", "m"));
}

TEST_CASE("redirects take along what they may")
{
    HttpRequest request{.url = *Url::parse("https://shop.example/a"),
                        .method = "POST",
                        .headers = {{"Host", "other"}, {"X-Tag", "tag"}},
                        .body = "body",
                        .password = Secret{"secret"},
                        .tls = {.server_name = "other"},
                        .connect_to = "127.0.0.1"};
    const auto follow = [&](int status, const std::string& location) {
        HttpReply reply{.status = status, .headers = {{"Location", location}, {"Set-Cookie", "a=b; Path=/"}}};
        Redirects redirects;
        return redirects.next(request, reply);
    };
    const auto near = follow(307, "/b");
    CHECK(near->url.whole() == "https://shop.example/b");
    CHECK(near->method == "POST");
    CHECK(near->body == "body");
    CHECK(near->connect_to == "127.0.0.1");
    CHECK(near->headers == std::vector<HttpHeader>{{"Host", "other"}, {"X-Tag", "tag"}, {"Cookie", "a=b"}});

    const auto seen = follow(302, "https://shop.example:8443/b");
    CHECK(seen->method == "GET");
    CHECK(seen->body.empty());
    CHECK(seen->password.reveal() == "secret");
    CHECK(seen->headers == std::vector<HttpHeader>{{"X-Tag", "tag"}, {"Cookie", "a=b"}});

    for (const auto* elsewhere : {"https://evil.example/", "http://shop.example/"}) {
        const auto away = follow(301, elsewhere);
        CHECK(away->password.empty());
        CHECK(away->headers.front() == HttpHeader{"X-Tag", "tag"});
    }
    CHECK(follow(301, "https://evil.example/")->connect_to.empty());
    CHECK_FALSE(follow(304, "/b"));
    CHECK_FALSE(follow(302, ""));
}
