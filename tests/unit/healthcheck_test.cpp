#include "daemon/compose/healthcheck.hpp"

#include "daemon/config.hpp"

#include "tests/catch.hpp"

#include <map>

using namespace keepwell;
using namespace keepwell::compose;
using Why = Untranslated::Why;

namespace {

// The probe as one line: `http http://web:80/ status=200-399`.
std::string line_of(const NativeProbe& probe)
{
    auto line = probe.kind + " " + probe.target;
    for (const auto& setting : probe.settings)
        line += " " + setting.key + "=" + (setting.secret ? "(" + setting.variable + ")" : setting.value);
    return line;
}

std::string words(Why why)
{
    switch (why) {
        case Why::none_given: return "none";
        case Why::checks_nothing: return "checks nothing";
        case Why::looks_inside: return "looks inside";
        case Why::too_clever: return "too clever";
    }
    return "?";
}

std::string translated(const std::vector<std::string>& test)
{
    const std::map<std::string, std::string, std::less<>> set{{"POSTGRES_USER", "app"},
                                                              {"POSTGRES_DB", "shop"},
                                                              {"PORT", "3000"},
                                                              {"PASSWORD", "s3cret"},
                                                              {"HOSTNAME", "c1"}};
    const Inside inside{"web", [&](std::string_view name) -> std::optional<std::string> {
                            const auto found = set.find(name);
                            return found == set.end() ? std::nullopt : std::optional{found->second};
                        }};
    const auto probes = translate(test, inside);
    if (!probes)
        return words(probes.error().why);
    std::string all;
    for (const auto& probe : *probes) {
        // Whatever comes out must be a probe that can be made.
        std::vector<std::string> settings;
        settings.reserve(probe.settings.size());
        for (const auto& setting : probe.settings)
            settings.push_back(setting.key + "=" + setting.value);
        const auto made = make_probe(probe.kind, probe.target, settings);
        INFO(line_of(probe) << "\n" << render(made.problems));
        CHECK(made.ok());
        all += (all.empty() ? "" : " | ") + line_of(probe);
    }
    return all;
}

struct Row {
    const char* line;
    const char* probes;
};

}  // namespace

TEST_CASE("a health check's shell line becomes the probe that asks the same")
{
    const auto row = GENERATE(values<Row>({
        // curl
        {"curl -f http://localhost:8000/health",
         "http http://web:8000/health status=200-399 follow_redirects=false"},
        {"curl -fsSL http://127.0.0.1/ || exit 1", "http http://web/"},
        {"curl --fail --silent localhost:5000 >/dev/null 2>&1 || exit 1",
         "http http://web:5000/ status=200-399 follow_redirects=false"},
        {"curl http://localhost/", "http http://web/ status=100-599 follow_redirects=false"},
        {"curl -kfL https://localhost/ -o /dev/null -m 5", "http https://web/ tls.insecure=true"},
        {"curl -fL -H \"X-Key: ${PASSWORD}\" http://c1:$PORT/a?b=1",
         "http http://web:3000/a?b=1 headers.X-Key=(PASSWORD)"},
        {"curl -fL http://other:80/x | grep -q '\"ok\"'", "http http://other:80/x body_matches=\"ok\""},
        {"curl -fLX POST -u me:$PASSWORD http://localhost/",
         "http http://web/ method=POST username=me password=(PASSWORD)"},
        {"[ \"$(curl -sL -o /dev/null -w '%{http_code}' http://localhost/)\" = 204 ]",
         "http http://web/ status=204"},
        {"curl -f http://localhost/ && curl -f http://localhost:9000/",
         "http http://web/ status=200-399 follow_redirects=false | http http://web:9000/ status=200-399 "
         "follow_redirects=false"},
        {"curl -fL http://localhost/ || wget -q --spider http://localhost/", "http http://web/"},
        {"timeout 5 curl -fL http://localhost/", "http http://web/"},
        // wget
        {"wget --no-verbose --tries=1 --spider http://localhost/ || exit 1", "http http://web/"},
        {"wget -qO- http://localhost:$PORT/ping &> /dev/null", "http http://web:3000/ping"},
        {"wget -q -O /dev/null --no-check-certificate https://localhost/",
         "http https://web/ tls.insecure=true"},
        // code
        {"python -c \"import urllib.request; urllib.request.urlopen('http://localhost:8000/health')\"",
         "http http://web:8000/health"},
        {"python3 -c \"import requests; requests.get('http://localhost:8000')\"",
         "http http://web:8000/ status=100-599"},
        {"python -c \"import socket; socket.create_connection(('localhost', 8000))\"", "tcp web:8000"},
        {"node -e \"require('http').get('http://localhost:3000/', r => process.exit(r.statusCode === 200 ? 0 "
         ": 1))\"",
         "http http://web:3000/ status=200 follow_redirects=false"},
        {"node -e \"require('http').get({host: 'localhost', port: 3000, path: '/up'}, r => 0)\"",
         "http http://web:3000/up status=100-599 follow_redirects=false"},
        // databases
        {"redis-cli ping", "redis web:6379"},
        {"redis-cli --raw incr ping", "redis web:6379"},
        {"redis-cli ping | grep PONG", "redis web:6379"},
        {"redis-cli -p 6380 -a \"$PASSWORD\" --no-auth-warning ping", "redis web:6380 password=(PASSWORD)"},
        {"redis-cli info replication | grep role:slave", "redis web:6379 role=replica"},
        {"test \"$(redis-cli ping)\" = 'PONG'", "redis web:6379"},
        {"pg_isready -U $POSTGRES_USER -d ${POSTGRES_DB}", "postgres web:5432 user=app database=shop"},
        {"pg_isready", "postgres web:5432 user=app database=shop"},
        {"pg_isready -h localhost -p 5433 -U me", "postgres web:5433 user=me database=shop"},
        {"mysqladmin ping -h localhost -u root -p$PASSWORD", "mysql web:3306"},
        {"mysqladmin ping -h 127.0.0.1 -u app --password=$PASSWORD --silent",
         "mysql web:3306 user=app password=(PASSWORD)"},
        {"mysql -u app -p$PASSWORD -e 'SELECT 1'",
         "mysql web:3306 user=app password=(PASSWORD) query=SELECT 1"},
        {"healthcheck.sh --connect --innodb_initialized", "mysql web:3306"},
        // ports
        {"nc -z localhost 9000", "tcp web:9000"},
        {"bash -c '</dev/tcp/localhost/9000'", "tcp web:9000"},
        {"timeout 1 bash -c 'echo > /dev/tcp/127.0.0.1/9000'", "tcp web:9000"},
        {"/bin/grpc_health_probe -addr=:50051", "tcp web:50051"},
        {"mongosh --eval 'db.adminCommand(\"ping\")'", "tcp web:27017"},
    }));
    CAPTURE(row.line);
    CHECK(translated({"CMD-SHELL", row.line}) == row.probes);
}

TEST_CASE("a health check that no probe can replace is told why")
{
    const auto row = GENERATE(values<Row>({
        {"exit 0", "checks nothing"},
        {"true", "checks nothing"},
        {"python -c \"exit(0)\"", "checks nothing"},
        {"python -c \"import sys; sys.exit(0)\"", "checks nothing"},
        {"node -e \"process.exit(0)\"", "checks nothing"},
        {"pgrep worker", "looks inside"},
        {"ps aux | grep -q worker", "looks inside"},
        {"test -f /tmp/healthy", "looks inside"},
        {"cat /tmp/healthy", "looks inside"},
        {"nginx -t", "looks inside"},
        {"/app/check.sh", "too clever"},
        {"curl -f http://localhost/ | jq -e .ok", "too clever"},
        {"if true; then curl -f http://localhost/; fi", "too clever"},
        {"curl -f http://localhost/a || curl -f http://localhost/b", "too clever"},
        {"curl -f \"http://localhost:$(cat port)/\"", "too clever"},
        {"curl -f 'http://localhost", "too clever"},
        {"curl -f http://localhost:$NO_SUCH/", "too clever"},
        {"(curl -f http://localhost/)", "too clever"},
        {"echo ok | grep -v ok", "too clever"},
        {"curl", "too clever"},
        {"redis-cli ping ||", "too clever"},
        {"| |", "too clever"},
        {"", "too clever"},
        {">", "too clever"},
        {"\\", "too clever"},
        {"$", "too clever"},
        {"${", "too clever"},
        {"`", "too clever"},
        {"sh -c 'sh -c \"sh -c true\"'", "checks nothing"},
    }));
    CAPTURE(row.line);
    CHECK(translated({"CMD-SHELL", row.line}) == row.probes);
}

TEST_CASE("a health check without a shell is taken word by word")
{
    CHECK(translated({"CMD", "curl", "-fL", "http://localhost/$PORT"}) == "http http://web/$PORT");
    CHECK(translated({"CMD", "redis-cli", "ping"}) == "redis web:6379");
    CHECK(translated({"CMD", "sh", "-c", "redis-cli -p $PORT ping || exit 1"}) == "redis web:3000");
    CHECK(translated({"CMD", "python", "-c",
                      "import urllib.request as u; u.urlopen(\"http://localhost/\")"}) == "http http://web/");
}

TEST_CASE("no health check, and one that Docker does not know, are no probe")
{
    CHECK(translated({}) == "none");
    CHECK(translated({"NONE"}) == "none");
    CHECK(translated({"CMD"}) == "too clever");
    CHECK(translated({"curl -f http://localhost/"}) == "too clever");
    CHECK(translated({"CMD-SHELL", "true", "false"}) == "too clever");
}
