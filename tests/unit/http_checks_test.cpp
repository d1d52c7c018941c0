#include "tests/unit/http_peer.hpp"

#include <functional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

TEST_CASE("http: checks of the answer")
{
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Two: a\r\nX-two: b\r\n"
        "X-Empty:\r\nContent-Length: 28\r\n\r\n{\"status\": \"ok\", \"count\": 3}";
    const auto regex = [](const char* text) { return Pattern::parse(text).value(); };
    struct Row {
        HttpSpec spec;
        Reason reason;
        const char* detail;
    };
    const auto row = GENERATE_COPY(values<Row>({
        {{.status = StatusRanges::parse("404").value()},
         Reason::status_mismatch,
         "status 200, expected 404: {\"status\": \"ok\", \"count\": 3}"},
        {{.body_matches = {regex("ok"), regex("3")}}, Reason::none, "status 200"},
        {{.body_matches = {regex("^ok$")}}, Reason::body_mismatch, "the body does not match ^ok$: {"},
        {{.body_not_matches = {regex("error")}}, Reason::none, ""},
        {{.body_not_matches = {regex("error"), regex("ok")}}, Reason::body_mismatch, "the body matches ok"},
        {{.header_checks = {{.name = "content-type", .matches = regex("json")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .matches = regex("^b$")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .not_matches = regex("^b$")}}},
         Reason::header_mismatch,
         "header X-Two matches"},
        {{.header_checks = {{.name = "X-Empty"}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Other"}}}, Reason::header_mismatch, "header X-Other is missing"},
        {{.header_checks = {{.name = "X-Other", .not_matches = regex("x")}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Other", .absent = true}}}, Reason::none, ""},
        {{.header_checks = {{.name = "X-Two", .absent = true}}},
         Reason::header_mismatch,
         "header X-Two is there"},
        {{.header_checks = {{.name = "Content-Type", .matches = regex("html")}}},
         Reason::header_mismatch,
         "header Content-Type does not match html"},
        {{.json = {{"/status", "ok"}, {"/count", "3"}}}, Reason::none, ""},
        {{.json = {{"/count", "4"}}}, Reason::json_mismatch, "/count is 3, expected 4"},
        {{.json = {{"/count", "3"}}, .max_body = ByteSize{10}},
         Reason::reply_too_large,
         "the JSON body is larger"},
        {{.body_matches = {regex("count")}, .max_body = ByteSize{10}},
         Reason::body_mismatch,
         "the body does not match count in the first 10 bytes"},
        {{.max_body = ByteSize{0}}, Reason::none, ""},
        {{.http_version = HttpVersion::http1, .certificate_min_days = 1},
         Reason::tls_failure,
         "it answered without"},
    }));
    CAPTURE(row.detail);
    const auto result = answered(answer, row.spec);
    CAPTURE(result.detail);
    CHECK(to_string(result.reason) == to_string(row.reason));
    CHECK(result.outcome == (row.reason == Reason::none ? Outcome::ok : Outcome::rejected));
    CHECK(result.detail.starts_with(row.detail));
}

TEST_CASE("http: what a server repeats of our secrets is not shown")
{
    const auto echo = [](HttpSpec spec) {
        return answered("HTTP/1.1 500 X\r\nContent-Length: 26\r\n\r\ninvalid token s3cr3t\x1b[31m!", spec)
            .detail;
    };
    CHECK(echo({}) == "status 500, expected 200-299: invalid token s3cr3t?[31m!");
    CHECK(echo({.bearer_token = Secret{"s3cr3t"}}) == "status 500, expected 200-299");
    CHECK(echo({.username = "u", .password = Secret{"s3cr3t"}}) == "status 500, expected 200-299");
    CHECK(echo({.headers = {{"X-Key", "s3cr3t"}}}) == "status 500, expected 200-299");
    CHECK(echo({.body = "s3cr3t"}) == "status 500, expected 200-299");
}

TEST_CASE("http: wrong credentials")
{
    const HttpSpec spec{.username = "u", .password = Secret{"p"}};
    const auto result = answered("HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n", spec);
    CHECK(result.outcome == Outcome::rejected);
    CHECK(result.reason == Reason::authentication_failed);
}

TEST_CASE("http: what cannot work is told before it is tried")
{
    const HttpSpec fine{.url = Url::parse("https://web/").value()};
    CHECK(fine.faults().empty());
    const auto [change, words] = GENERATE(table<std::function<void(HttpSpec&)>, std::string>({
        {[](HttpSpec& s) { s.method = "GET /"; }, "method"},
        {[](HttpSpec& s) { s.method = ""; }, "method"},
        {[](HttpSpec& s) { s.method = "CONNECT"; }, "method"},
        {[](HttpSpec& s) { s.headers = {{"A b", "x"}}; }, "not a header name"},
        {[](HttpSpec& s) { s.headers = {{"A", "x\r\nB: y"}}; }, "control characters"},
        {[](HttpSpec& s) { s.headers = {{"Content-Length", "3"}}; }, "Content-Length"},
        {[](HttpSpec& s) { s.headers = {{"authorization", "x"}}, s.bearer_token = Secret{"t"}; },
         "Authorization"},
        {[](HttpSpec& s) { s.bearer_token = Secret{"a\nb"}; }, "bearer_token"},
        {[](HttpSpec& s) { s.bearer_token = Secret{"a"}, s.username = "u"; }, "exclude"},
        {[](HttpSpec& s) { s.username = "a:b"; }, "username"},
        {[](HttpSpec& s) { s.unix_socket = "/x", s.connect_to = "y"; }, "exclude"},
        {[](HttpSpec& s) { s.unix_socket = std::string(200, 'x'); }, "unix_socket"},
        {[](HttpSpec& s) { s.connect_to = "a b"; }, "connect_to"},
        {[](HttpSpec& s) { s.connect_to = "a:b"; }, "connect_to"},
        {[](HttpSpec& s) { s.json = {{"status", "ok"}}; }, "json"},
        {[](HttpSpec& s) {
             s.header_checks = {{.name = "X", .matches = Pattern::parse("x").value(), .absent = true}};
         },
         "absent"},
        {[](HttpSpec& s) {
             s.url = Url::parse("http://web/").value(), s.follow_redirects = false, s.tls.insecure = true;
         },
         "https"},
    }));
    CAPTURE(words);
    auto spec = fine;
    change(spec);
    const auto faults = spec.faults();
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].contains(words));
}
