#pragma once

#include "probes/dns.hpp"
#include "probes/docker.hpp"
#include "probes/exec.hpp"
#include "probes/heartbeat.hpp"
#include "probes/http.hpp"
#include "probes/mysql.hpp"
#include "probes/postgres.hpp"
#include "probes/redis.hpp"
#include "probes/tcp.hpp"

#include <concepts>
#include <memory>
#include <variant>

namespace keepwell {

// A kind of probe: a comparable value with described fields, and one coroutine. Both arguments outlive the
// attempt, even one that is cancelled at its deadline. The first field is the one that a bare value sets
// (`tcp: db:5432`). An optional member `std::vector<std::string> faults() const` says what no single field
// can know.
template <class Spec>
concept Probeable = std::equality_comparable<Spec> && requires(const Spec& spec, Progress& progress) {
    { Spec::kind } -> std::convertible_to<std::string_view>;
    { Spec::summary } -> std::convertible_to<std::string_view>;
    Spec::fields();
    { probe(spec, progress) } -> std::same_as<asio::awaitable<Verdict>>;
};

// Every kind of probe there is. A new one is added here, and the compiler asks for the rest.
using ProbeSpec = std::variant<HttpSpec, RedisSpec, PostgresSpec, MysqlSpec, TcpSpec, ExecSpec, HeartbeatSpec,
                               DnsSpec, DockerSpec>;
using SharedSpec = std::shared_ptr<const ProbeSpec>;

template <Probeable... Specs>
constexpr bool all_probeable(const std::variant<Specs...>*)
{
    return true;
}
static_assert(all_probeable(static_cast<ProbeSpec*>(nullptr)));

inline std::string_view kind_of(const ProbeSpec& spec)
{
    return std::visit([](const auto& each) { return each.kind; }, spec);
}

}  // namespace keepwell
