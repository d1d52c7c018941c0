#include "tests/catch.hpp"

#include "daemon/receiver.hpp"

using namespace keepwell;

namespace {

WebhookSettings at(std::string url) { return {.url = Secret{std::move(url)}}; }

WebhookSettings with_header(std::string name, std::string value)
{
    auto settings = at("http://x/");
    settings.headers.emplace(std::move(name), *MessageTemplate::parse(value));
    return settings;
}

WebhookSettings with_body(std::string body, std::string content_type = {})
{
    auto settings = at("http://x/");
    settings.body = *MessageTemplate::parse(body);
    settings.content_type = std::move(content_type);
    return settings;
}

AlertmanagerSettings am() { return {.url = {*Url::parse("http://am/")}}; }

}  // namespace

TEST_CASE("webhook: what no single field can know is a fault")
{
    auto typo = at("http://x/");
    typo.events = {"signal_rised"};
    auto [settings, words] = GENERATE_COPY(table<WebhookSettings, std::string>({
        {WebhookSettings{}, "url"},
        {at("ftp://x/"), "url"},
        {at("https:///path"), "url"},
        {at("https://me:secret@x/"), "use `headers`, such as Authorization"},
        {with_header("Bad Name", "x"), "headers"},
        {with_header("content-type", "text/plain"), "by keepwell itself"},
        {with_header("X", "a\r\nInjected: b"), "headers"},
        {with_header("X", "\x1b"), "headers"},
        {with_body("x", "text/plain\r\nX: y"), "content_type"},
        {with_body("{\"text\": {{ text }}}"), "stands in quotes"},
        {with_body("{{ text | raw }}"), "does not become JSON"},
        {typo, "\"signal_rised\""},
    }));
    CAPTURE(words);
    REQUIRE(settings.faults().size() == 1);
    CHECK_THAT(settings.faults().front(), Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE("webhook: each format is without a fault, and so is what goes with its body")
{
    for (const auto& [format, name] : enum_names(WebhookFormat{})) {
        CAPTURE(name);
        auto settings = at("https://x/y");
        settings.format = format;
        CHECK(settings.faults().empty());
    }
    CHECK(with_header("X-A", "{{ service }}").faults().empty());
    CHECK(with_body("{\"n\": {{ priority }}, \"text\": \"{{ text }}\"}").faults().empty());
    CHECK(with_body("{{ text }}", "text/plain").faults().empty());
}

TEST_CASE("webhook: a format's token is only sent when there is one, and what the user says goes before it")
{
    auto settings = at("https://x/y");
    settings.format = WebhookFormat::ntfy;
    CHECK_FALSE(form_of(settings).headers.contains("Authorization"));
    settings.token = Secret{"t"};
    CHECK(form_of(settings).headers.contains("Authorization"));
    settings.headers.emplace("authorization", *MessageTemplate::parse("Basic x"));
    CHECK_FALSE(form_of(settings).headers.contains("Authorization"));
    CHECK(form_of(settings).escape == Escape::none);
    settings.content_type = "application/json";
    CHECK(form_of(settings).escape == Escape::json);
}

TEST_CASE("webhook: chats are told of what people want to know, others of everything")
{
    auto settings = at("https://x/y");
    CHECK(settings.wants("signal_raised"));
    settings.format = WebhookFormat::slack;
    CHECK_FALSE(settings.wants("signal_raised"));
    CHECK(settings.wants("alert_fired"));
    settings.events = {"signal_raised"};
    CHECK(settings.wants("signal_raised"));
    CHECK_FALSE(settings.wants("alert_fired"));
    CHECK(name_of_webhook(settings, 1) == "webhook-2");
}

TEST_CASE("alertmanager: what no single field can know is a fault")
{
    auto no_url = am(), query = am(), user = am(), both = am(), label = am(), ours = am();
    no_url.url.clear();
    query.url = {*Url::parse("http://am/?a=b")};
    user.username = "me";
    both.username = "me";
    both.password = both.bearer_token = Secret{"p"};
    label.labels = {{"a-b", "c"}};
    ours.labels = {{"severity", "none"}};
    auto [settings, words] = GENERATE_COPY(table<AlertmanagerSettings, std::string>({
        {no_url, "no address"},
        {query, "no query"},
        {user, "belong together"},
        {both, "a password already"},
        {label, "\"a-b\""},
        {ours, "severity is set by keepwell itself"},
    }));
    CAPTURE(words);
    REQUIRE(settings.faults().size() == 1);
    CHECK_THAT(settings.faults().front(), Catch::Matchers::ContainsSubstring(words));
    CHECK(am().faults().empty());
}
