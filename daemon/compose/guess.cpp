#include "daemon/compose/guess.hpp"

#include <algorithm>
#include <array>

namespace keepwell::compose {

namespace {

struct WellKnown {
    std::string_view image;
    std::string_view kind;
    std::string_view target;  // after the host
    std::string_view status{};
};

constexpr std::string_view any_answer = "100-599";

// The images' documented ports and, where there is one, their path for health.
constexpr std::array well_known{
    WellKnown{"redis", "redis", ":6379"},
    WellKnown{"valkey", "redis", ":6379"},
    WellKnown{"keydb", "redis", ":6379"},
    WellKnown{"redis-stack-server", "redis", ":6379"},
    WellKnown{"postgres", "postgres", ":5432"},
    WellKnown{"postgresql", "postgres", ":5432"},
    WellKnown{"postgis", "postgres", ":5432"},
    WellKnown{"pgvector", "postgres", ":5432"},
    WellKnown{"timescaledb", "postgres", ":5432"},
    WellKnown{"mysql", "mysql", ":3306"},
    WellKnown{"mysql-server", "mysql", ":3306"},
    WellKnown{"mariadb", "mysql", ":3306"},
    WellKnown{"percona", "mysql", ":3306"},
    WellKnown{"nginx", "http", ":80/", any_answer},
    WellKnown{"httpd", "http", ":80/", any_answer},
    WellKnown{"caddy", "http", ":80/", any_answer},
    WellKnown{"traefik", "http", ":80/", any_answer},
    WellKnown{"wordpress", "http", ":80/", any_answer},
    WellKnown{"phpmyadmin", "http", ":80/", any_answer},
    WellKnown{"adminer", "http", ":8080/", any_answer},
    WellKnown{"elasticsearch", "http", ":9200/", any_answer},
    WellKnown{"opensearch", "tcp", ":9200"},
    WellKnown{"minio", "http", ":9000/minio/health/live"},
    WellKnown{"grafana", "http", ":3000/api/health"},
    WellKnown{"prometheus", "http", ":9090/-/healthy"},
    WellKnown{"alertmanager", "http", ":9093/-/healthy"},
    WellKnown{"clickhouse-server", "http", ":8123/ping"},
    WellKnown{"influxdb", "http", ":8086/ping"},
    WellKnown{"registry", "http", ":5000/v2/", any_answer},
    WellKnown{"mongo", "tcp", ":27017"},
    WellKnown{"rabbitmq", "tcp", ":5672"},
    WellKnown{"memcached", "tcp", ":11211"},
    WellKnown{"kafka", "tcp", ":9092"},
    WellKnown{"zookeeper", "tcp", ":2181"},
    WellKnown{"nats", "tcp", ":4222"},
    WellKnown{"etcd", "tcp", ":2379"},
    WellKnown{"mailpit", "tcp", ":1025"},
    WellKnown{"mailhog", "tcp", ":1025"},
};

}  // namespace

std::string_view image_name(std::string_view image)
{
    image = image.substr(0, image.find('@'));
    image = image.substr(image.rfind('/') + 1);
    return image.substr(0, image.find(':'));
}

std::optional<NativeProbe> guess(std::string_view image, std::span<const std::string> ports,
                                 std::string_view host)
{
    const auto known = std::ranges::find(well_known, image_name(image), &WellKnown::image);
    if (known != well_known.end()) {
        const std::string scheme{known->kind == "http" ? "http://" : ""};
        NativeProbe probe{std::string{known->kind}, scheme + std::string{host} + std::string{known->target}};
        if (!known->status.empty())
            probe.settings.push_back({"status", std::string{known->status}});
        return probe;
    }
    if (ports.empty())
        return std::nullopt;
    return NativeProbe{"tcp", std::string{host} + ":" + ports.front()};
}

}  // namespace keepwell::compose
