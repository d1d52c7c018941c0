#include "deploy/app/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace keepwell::app {
namespace {

template <class Builder>
auto& family(Builder builder, const char* name, const char* help, prometheus::Registry& registry)
{
    return builder.Name(name).Help(help).Register(registry);
}

const prometheus::Histogram::BucketBoundaries buckets{0.001, 0.005, 0.01, 0.05, 0.1, 0.25,
                                                      0.5,   1,     2.5,  5,    10};

}  // namespace

struct Metrics::Families {
    prometheus::Registry registry{};
    prometheus::Family<prometheus::Counter>& requests =
        family(prometheus::BuildCounter(), "app_http_requests_total", "HTTP requests answered.", registry);
    prometheus::Family<prometheus::Histogram>& durations =
        family(prometheus::BuildHistogram(), "app_http_request_duration_seconds",
               "Time from the whole request to its answer.", registry);
    prometheus::Family<prometheus::Gauge>& dependencies =
        family(prometheus::BuildGauge(), "app_dependency_up",
               "Whether the dependency answered when it was last asked (1) or not (0).", registry);
    prometheus::Family<prometheus::Counter>& jobs =
        family(prometheus::BuildCounter(), "app_jobs_total", "Jobs taken from the queue.", registry);
    prometheus::Family<prometheus::Counter>& beats =
        family(prometheus::BuildCounter(), "app_heartbeats_total", "Heartbeats sent.", registry);
    prometheus::Family<prometheus::Gauge>& websockets =
        family(prometheus::BuildGauge(), "app_open_websockets", "WebSocket connections open now.", registry);
    prometheus::Family<prometheus::Gauge>& build = family(
        prometheus::BuildGauge(), "app_build_info", "Always 1; the labels say what runs here.", registry);
};

Metrics::Metrics(std::string_view role, std::string_view version) : families_{std::make_unique<Families>()}
{
    families_->build.Add({{"role", std::string{role}}, {"version", std::string{version}}}).Set(1);
}

Metrics::~Metrics() = default;

void Metrics::request(std::string_view route, std::string_view method, int code, double seconds)
{
    const std::string path{route};
    families_->requests
        .Add({{"route", path}, {"method", std::string{method}}, {"code", fmt::to_string(code)}})
        .Increment();
    families_->durations.Add({{"route", path}}, buckets).Observe(seconds);
}

void Metrics::dependency(std::string_view name, bool up)
{
    families_->dependencies.Add({{"dependency", std::string{name}}}).Set(up ? 1 : 0);
}

void Metrics::job(std::string_view result)
{
    families_->jobs.Add({{"result", std::string{result}}}).Increment();
}

void Metrics::beat(std::string_view way, bool arrived)
{
    families_->beats.Add({{"way", std::string{way}}, {"result", arrived ? "ok" : "failed"}}).Increment();
}

void Metrics::open_websockets(int count) { families_->websockets.Add({}).Set(count); }

std::string Metrics::text() const
{
    return prometheus::TextSerializer{}.Serialize(families_->registry.Collect());
}

}  // namespace keepwell::app
