#include "tests/catch.hpp"

#include "exporters/webhook.hpp"
#include "probes/digest.hpp"
#include "tests/unit/processes.hpp"
#include "tests/unit/scripted_receiver.hpp"

#include <boost/json.hpp>

using namespace keepwell;
using namespace keepwell::test;

namespace json = boost::json;

namespace {

json::object object_of(const Post& post) { return json::parse(post.body).as_object(); }

const Signal raised{.cause = "unhealthy",
                    .probe = "http",
                    .reason = Reason::timeout,
                    .detail = "no answer, then \xff",
                    .since = Clock::now(),
                    .times = 2};

// A stack of two services and its webhooks.
struct Bench {
    asio::io_context loop{};
    Monitor monitor{
        Stack{{.project = "shop", .services = {service("db"), service("api")}}}, {}, Clock::now(), 1};
    Webhooks webhooks{loop};

    explicit Bench(std::vector<WebhookSettings> receivers = {})
    {
        webhooks.attach(monitor);
        webhooks.configure(receivers);
    }
    static Service service(const std::string& name)
    {
        return {.name = name, .instances = {{.name = name + "-1", .address = "10.0.0.1"}}};
    }
    void raise(int count = 1)
    {
        for (int i = 0; i < count; ++i)
            webhooks.signal_raised(1, raised, Clock::now());
    }
    bool settled(Clock::duration limit = 10s)
    {
        return run_until(loop, [&] { return webhooks.queued() == 0; }, limit);
    }
};

WebhookSettings quick(std::string url)
{
    return {.url = Secret{std::move(url)}, .timeout = 300ms, .retries = 3, .backoff = 10ms};
}

bool is_signed(const Post& post, const std::string& secret)
{
    return post.header("X-Keepwell-Signature") ==
           "sha256=" + hmac_sha256(secret, post.header("X-Keepwell-Timestamp") + "." + post.body);
}

}  // namespace

TEST_CASE("webhook: a signal arrives as JSON, signed, with everything a receiver needs")
{
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {200}};
    auto action = quick(receiver.url());
    action.secret = Secret{"key of the receiver"};
    action.headers = {{"Authorization", *MessageTemplate::parse("Bearer {{ token }}")}};
    action.token = Secret{"abc"};
    bench.webhooks.configure({action});
    bench.raise();
    REQUIRE(bench.settled());
    REQUIRE(receiver.posts().size() == 1);
    const auto& post = receiver.posts()[0];
    CHECK(post.head.starts_with("POST /hook?room=1 HTTP/1.1\r\n"));
    CHECK(post.header("Content-Type") == "application/json");
    CHECK(post.header("Authorization") == "Bearer abc");
    CHECK(post.header("X-Keepwell-Event") == "signal_raised");
    CHECK(is_signed(post, "key of the receiver"));
    CHECK_FALSE(is_signed(post, "another key"));
    CHECK(std::abs(std::stol(post.header("X-Keepwell-Timestamp")) - ::time(nullptr)) < 10);

    const auto object = object_of(post);
    CHECK(object.at("event") == "signal_raised");
    CHECK(object.at("id").as_string() == post.header("X-Keepwell-Delivery"));
    CHECK(object.at("project") == "shop");
    CHECK(object.at("service") == "api");
    CHECK(object.at("instance") == "api-1");
    CHECK(object.at("address") == "10.0.0.1");
    CHECK(object.at("cause") == "unhealthy");
    CHECK(object.at("probe") == "http");
    CHECK(object.at("reason") == "timeout");
    CHECK(object.at("words").as_string() == words(Reason::timeout));
    CHECK(object.at("detail") == "no answer, then \xef\xbf\xbd");
    CHECK(object.at("times") == 2);
    CHECK(object.at("time").as_string().size() == std::string_view{"2023-11-14T22:13:20.123Z"}.size());
    CHECK(object.contains("keepwell"));
    CHECK(object.at("text").as_string().starts_with("api-1: should be restarted: unhealthy (http: timeout"));
    CHECK(bench.webhooks.figures().delivered == 1);
}

TEST_CASE("webhook: without a secret nothing is signed")
{
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {204}};
    bench.webhooks.configure({quick(receiver.url())});
    bench.raise();
    REQUIRE(bench.settled());
    REQUIRE(receiver.posts().size() == 1);
    CHECK(receiver.posts()[0].header("X-Keepwell-Signature").empty());
    CHECK(bench.webhooks.figures().delivered == 1);
}

TEST_CASE("webhook: what fails is tried again, as the same delivery and freshly signed")
{
    auto fault = GENERATE(500, 503, 429, 408, close_it, hang, answer_nonsense);
    CAPTURE(fault);
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {fault, fault, 200}};
    auto action = quick(receiver.url());
    action.secret = Secret{"s3cret"};
    bench.webhooks.configure({action});
    bench.raise();
    REQUIRE(bench.settled());
    REQUIRE(receiver.posts().size() == 3);
    for (const auto& post : receiver.posts()) {
        CHECK(post.body == receiver.posts()[0].body);
        CHECK(post.header("X-Keepwell-Delivery") == receiver.posts()[0].header("X-Keepwell-Delivery"));
        CHECK(is_signed(post, "s3cret"));
    }
    CHECK(bench.webhooks.figures().delivered == 1);
    CHECK(bench.webhooks.figures().failed == 0);
}

TEST_CASE("webhook: what the receiver does not want is not tried again")
{
    auto status = GENERATE(400, 401, 404, 410, 302);
    CAPTURE(status);
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {status}};
    bench.webhooks.configure({quick(receiver.url())});
    bench.raise();
    REQUIRE(bench.settled());
    CHECK(receiver.posts().size() == 1);
    CHECK(bench.webhooks.figures().failed == 1);
}

TEST_CASE("webhook: the number of tries is bounded, and the next event is not lost")
{
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {500}};
    bench.webhooks.configure({quick(receiver.url())});
    bench.raise();
    REQUIRE(bench.settled());
    CHECK(receiver.posts().size() == 4);
    CHECK(bench.webhooks.figures().failed == 1);
    receiver.then({200});
    bench.raise();
    REQUIRE(bench.settled());
    CHECK(bench.webhooks.figures().delivered == 1);
}

TEST_CASE("webhook: events arrive in their order, also past a fault")
{
    Bench bench;
    ScriptedReceiver receiver{bench.loop, {503, 200}};
    bench.webhooks.configure({quick(receiver.url())});
    bench.raise();
    bench.webhooks.action_started(1, {.probe = "http", .cause = "unhealthy", .reason = Reason::timeout},
                                  Clock::now());
    bench.webhooks.action_finished(
        1, {.result = ActionResult::failed, .detail = "exit code 1", .output = "no\n", .took = 2s},
        Clock::now());
    bench.webhooks.held(1, Hold::pending, Hold::quarantined, "5 restarts within 1h", Clock::now());
    bench.webhooks.signal_cleared(1, raised, Clock::now());
    REQUIRE(bench.settled());
    std::vector<std::string> events;
    for (const auto& post : receiver.posts())
        events.emplace_back(object_of(post).at("event").as_string());
    CHECK(events == std::vector<std::string>{"signal_raised", "signal_raised", "action_finished",
                                             "quarantined", "signal_cleared"});
    const auto finished = object_of(receiver.posts()[2]);
    CHECK(finished.at("result") == "failed");
    CHECK(finished.at("result_detail") == "exit code 1");
    CHECK(finished.at("output") == "no\n");
    CHECK(finished.at("seconds") == 2.0);
    CHECK(finished.at("reason") == "timeout");
    CHECK(object_of(receiver.posts()[3]).at("hold_detail") == "5 restarts within 1h");
}

TEST_CASE("webhook: only the wanted events are sent")
{
    Bench bench;
    ScriptedReceiver all{bench.loop, {200}}, some{bench.loop, {200}};
    auto action = quick(some.url());
    action.events = {"signal_cleared"};
    bench.webhooks.configure({quick(all.url()), action});
    bench.raise(3);
    bench.webhooks.signal_cleared(1, raised, Clock::now());
    bench.webhooks.held(1, Hold::none, Hold::pending, "", Clock::now());
    bench.webhooks.held(1, Hold::quarantined, Hold::quarantined, "", Clock::now());
    REQUIRE(bench.settled());
    CHECK(all.posts().size() == 4);
    CHECK(some.posts().size() == 1);
}

TEST_CASE("webhook: a dead receiver costs a bounded queue, and the newest events are kept")
{
    Bench bench;
    ScriptedReceiver alive{bench.loop, {200}}, hanging{bench.loop, {hang}};
    auto dead = quick("http://127.0.0.1:1/");
    auto slow = quick(hanging.url());
    dead.backoff = slow.timeout = 1h;
    bench.webhooks.configure({dead, slow, quick(alive.url())});
    bench.raise(100);
    CHECK(run_until(bench.loop, [&] { return alive.posts().size() == 100; }));
    bench.raise(900);
    CHECK(bench.webhooks.queued() <= 3 * Webhooks::most_queued);
    CHECK(run_until(bench.loop, [&] { return bench.webhooks.queued() == 2 * Webhooks::most_queued; }));
    CHECK(bench.webhooks.figures().dropped >= 2 * (1000 - Webhooks::most_queued));
    CHECK(hanging.posts().size() == 1);
}

TEST_CASE("webhook: a reload keeps the queues of receivers that stay, and forgets those of others")
{
    Bench bench;
    ScriptedReceiver stays{bench.loop, {503, 200}}, goes{bench.loop, {hang}};
    auto staying = quick(stays.url()), going = quick(goes.url());
    going.timeout = 1h;
    bench.webhooks.configure({going, staying});
    bench.raise(3);
    CHECK(run_until(bench.loop, [&] { return stays.posts().size() == 1 && goes.posts().size() == 1; }));
    bench.webhooks.configure({staying});
    REQUIRE(bench.settled());
    CHECK(bench.webhooks.figures().delivered == 3);
    CHECK(goes.posts().size() == 1);
}

TEST_CASE("webhook: a loop that ends in the middle of a delivery loses nothing but the delivery")
{
    const auto before = open_descriptors();
    {
        Bench bench;
        ScriptedReceiver receiver{bench.loop, {hang}};
        bench.webhooks.configure({quick(receiver.url())});
        bench.raise(2);
        CHECK(run_until(bench.loop, [&] { return receiver.posts().size() == 1; }));
    }
    CHECK(open_descriptors() == before);
}
