#include "daemon/memory.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace keepwell {

namespace json = boost::json;

namespace {

constexpr std::int64_t memory_version = 1;
constexpr std::size_t most_bytes = 16 << 20;
// As far as the steady clock can be counted back without an overflow, and then some.
constexpr std::chrono::duration<double> farthest = std::chrono::hours{24 * 365 * 100};
constexpr std::string_view safe_choice = "; every instance counts as restarted a moment ago";

double to_unix(Clock::time_point at, Clock::time_point now, WallTime wall)
{
    return std::chrono::duration<double>(wall.time_since_epoch() + (at - now)).count();
}

// Not later than `latest`: what lies in the future was written before the clock was set back.
std::optional<Clock::time_point> from_unix(const json::value* value, Clock::time_point latest,
                                           Clock::time_point now, WallTime wall)
{
    json::error_code error;
    const auto seconds = value ? value->to_number<double>(error) : 0;
    if (!value || error || !(seconds > -1e11 && seconds < 1e11))
        return {};
    const std::chrono::duration<double> away =
        std::chrono::duration<double>(seconds) - std::chrono::duration<double>(wall.time_since_epoch());
    const auto near = std::clamp(away, -farthest, farthest);
    return std::min(now + std::chrono::duration_cast<Clock::duration>(near), latest);
}

json::object record_object(const RestartRecord& record, Clock::time_point now, WallTime wall)
{
    json::object object;
    json::array restarts;
    for (const auto at : record.recent)
        restarts.push_back(to_unix(at, now, wall));
    object["restarts"] = std::move(restarts);
    object["in_a_row"] = record.in_a_row;
    object["quarantined"] = record.quarantined;
    if (record.not_before > now)
        object["not_before"] = to_unix(record.not_before, now, wall);
    return object;
}

std::optional<RestartRecord> read_record(const json::object* object, const RestartPolicy& policy,
                                         Clock::time_point now, WallTime wall)
{
    const auto* restarts =
        object && object->contains("restarts") ? object->at("restarts").if_array() : nullptr;
    const auto* in_a_row = object ? object->if_contains("in_a_row") : nullptr;
    const auto* quarantined = object ? object->if_contains("quarantined") : nullptr;
    if (!restarts || !in_a_row || !in_a_row->is_int64() || !quarantined || !quarantined->is_bool())
        return {};
    RestartRecord record;
    for (const auto& each : *restarts) {
        const auto at = from_unix(&each, now, now, wall);
        if (!at)
            return {};
        record.recent.push_back(*at);
    }
    std::ranges::sort(record.recent);
    if (const auto most = static_cast<std::size_t>(policy.max); record.recent.size() > most)
        record.recent.erase(record.recent.begin(), record.recent.end() - policy.max);
    record.in_a_row = static_cast<int>(std::clamp<std::int64_t>(in_a_row->get_int64(), 0, 1000));
    record.quarantined = quarantined->get_bool();
    if (const auto* not_before = object->if_contains("not_before")) {
        const auto latest = now + policy.backoff_max.value * 2 + policy.action_timeout().value;
        const auto at = from_unix(not_before, latest, now, wall);
        if (!at)
            return {};
        record.not_before = *at;
    }
    return record;
}

const RestartPolicy& policy_of(const Monitor& monitor, const std::string& service)
{
    static const RestartPolicy usual;
    const auto id = monitor.stack().find(service);
    return id ? monitor.stack().services()[*id].spec->restart : usual;
}

// What is remembered of one service; false when it makes no sense.
bool recall_service(const std::string& name, const json::value& value, Monitor& monitor,
                    Clock::time_point now, WallTime wall)
{
    const auto* object = value.if_object();
    if (!object)
        return false;
    if (const auto* note = object->if_contains("maintenance")) {
        if (!note->is_string())
            return false;
        monitor.restore({name, {}}, {.maintenance = std::string{note->get_string()}, .left = now});
    }
    const auto* instances = object->if_contains("instances");
    if (!instances)
        return true;
    if (!instances->is_object())
        return false;
    for (const auto& each : instances->get_object()) {
        const auto record = read_record(each.value().if_object(), policy_of(monitor, name), now, wall);
        if (!record)
            return false;
        monitor.restore({name, each.key()}, {.record = *record, .left = now});
    }
    return true;
}

json::array departed_array(const Departed& departed, Clock::time_point now, WallTime wall)
{
    json::array array;
    for (const auto& [key, entry] : departed.all()) {
        auto object = entry.maintenance ? json::object{{"maintenance", *entry.maintenance}}
                                        : record_object(entry.record, now, wall);
        object["service"] = key.first;
        object["instance"] = key.second;
        object["left"] = to_unix(entry.left, now, wall);
        array.push_back(std::move(object));
    }
    return array;
}

bool recall_departed(const json::value& value, Monitor& monitor, Clock::time_point now, WallTime wall)
{
    const auto* object = value.if_object();
    const auto* service = object ? object->if_contains("service") : nullptr;
    const auto* instance = object ? object->if_contains("instance") : nullptr;
    const auto left = from_unix(object ? object->if_contains("left") : nullptr, now, now, wall);
    if (!service || !service->is_string() || !instance || !instance->is_string() || !left)
        return false;
    Departed::Entry entry{.left = *left};
    if (const auto* note = object->if_contains("maintenance"); note && note->is_string())
        entry.maintenance = std::string{note->get_string()};
    else if (const auto record =
                 read_record(object, policy_of(monitor, std::string{service->get_string()}), now, wall))
        entry.record = *record;
    else
        return false;
    monitor.restore({std::string{service->get_string()}, std::string{instance->get_string()}},
                    std::move(entry));
    return true;
}

// There are none in files of before anything was remembered of those.
bool recall_departed(const json::object& document, Monitor& monitor, Clock::time_point now, WallTime wall)
{
    const auto* array = document.if_contains("departed");
    if (!array)
        return true;
    return array->is_array() && std::ranges::all_of(array->get_array(), [&](const json::value& each) {
               return recall_departed(each, monitor, now, wall);
           });
}

json::array alerts_array(const Alerts& alerts)
{
    json::array array;
    for (const auto& [key, alert] : alerts.all())
        if (alert.firing())
            array.push_back(json::object{
                {"rule", key.rule},
                {"project", key.project},
                {"service", key.service},
                {"container", key.container},
                {"fired_at", std::chrono::duration<double>(alert.fired_at->time_since_epoch()).count()}});
    return array;
}

bool recall_alert(const json::value& value, Alerts& alerts, Clock::time_point now, WallTime wall)
{
    const auto* object = value.if_object();
    const auto* fired_at = object ? object->if_contains("fired_at") : nullptr;
    AlertKey key;
    for (const auto& [name, member] : {std::pair{"rule", &key.rule},
                                       {"project", &key.project},
                                       {"service", &key.service},
                                       {"container", &key.container}}) {
        const auto* text = object ? object->if_contains(name) : nullptr;
        if (!text || !text->is_string())
            return false;
        *member = std::string{text->get_string()};
    }
    const auto at = from_unix(fired_at, now, now, wall);
    if (!at)
        return false;
    const auto ago = std::chrono::duration_cast<WallTime::duration>(now - *at);
    alerts.restore(std::move(key), wall - ago, now);
    return true;
}

// There are none in files of before there were alerts.
bool recall_alerts(const json::object& document, Alerts& alerts, Clock::time_point now, WallTime wall)
{
    const auto* array = document.if_contains("alerts");
    if (!array)
        return true;
    return array->is_array() && std::ranges::all_of(array->get_array(), [&](const json::value& each) {
               return recall_alert(each, alerts, now, wall);
           });
}

void assume_restarted(Monitor& monitor, Clock::time_point now)
{
    for (InstanceId id = 0; id < monitor.stack().instances().size(); ++id) {
        const auto& policy =
            monitor.stack().services()[monitor.stack().instances()[id].service].spec->restart;
        monitor.restore(id, after_restart(monitor.instance(id).record, policy, now, 0.5));
    }
}

// A rename lasts only once its directory is on the disk, too. Where that cannot be asked for, it lasts anyway
// or not at all: the old file or the new one is there, whole.
void settle_directory(const std::string& path)
{
    const auto slash = path.rfind('/');
    const auto directory = slash == path.npos ? "." : path.substr(0, slash + 1);
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    ::fsync(fd);
    ::close(fd);
}

}  // namespace

std::string memory_text(const Monitor& monitor, const Alerts& alerts, Clock::time_point now, WallTime wall)
{
    json::object services;
    for (ServiceId id = 0; id < monitor.stack().services().size(); ++id) {
        const auto& row = monitor.stack().services()[id];
        json::object service;
        json::object instances;
        if (monitor.service(id).maintenance)
            service["maintenance"] = monitor.service(id).maintenance_note;
        for (InstanceId i = row.first_instance; i < row.first_instance + row.instance_count; ++i)
            if (const auto record = monitor.record_to_keep(i); record != RestartRecord{})
                instances[monitor.stack().instances()[i].spec->name] = record_object(record, now, wall);
        if (!instances.empty())
            service["instances"] = std::move(instances);
        if (!service.empty())
            services[row.spec->name] = std::move(service);
    }
    json::object document{{"version", memory_version}, {"services", std::move(services)}};
    if (auto departed = departed_array(monitor.departed(), now, wall); !departed.empty())
        document["departed"] = std::move(departed);
    if (auto firing = alerts_array(alerts); !firing.empty())
        document["alerts"] = std::move(firing);
    return json::serialize(document) + "\n";
}

std::optional<std::string> recall(std::string_view text, Monitor& monitor, Alerts* alerts,
                                  Clock::time_point now, WallTime wall)
{
    json::error_code error;
    json::parse_options options;
    options.max_depth = 8;
    const auto document = text.size() > most_bytes ? json::value{} : json::parse(text, error, {}, options);
    const auto* object = error ? nullptr : document.if_object();
    const auto* version = object ? object->if_contains("version") : nullptr;
    const auto* services = object ? object->if_contains("services") : nullptr;
    std::string problem;
    if (text.size() > most_bytes)
        problem = "the state file is too large to be one";
    else if (!version || !services || !services->is_object())
        problem = "the state file is broken";
    else if (!version->is_int64() || version->get_int64() != memory_version)
        problem = "the state file is of another version";
    else
        for (const auto& each : services->get_object())
            if (!recall_service(each.key(), each.value(), monitor, now, wall))
                problem = "the state file makes no sense for service " + std::string{each.key()};
    if (problem.empty() && !recall_departed(*object, monitor, now, wall))
        problem = "the state file makes no sense for what is not there now";
    if (problem.empty() && alerts && !recall_alerts(*object, *alerts, now, wall))
        problem = "the state file makes no sense for its alerts";
    if (problem.empty())
        return {};
    assume_restarted(monitor, now);
    return problem + std::string{safe_choice};
}

std::optional<std::string> recall_file(const std::string& path, Monitor& monitor, Alerts* alerts,
                                       Clock::time_point now, WallTime wall)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return {};
    std::string text;
    char bytes[65536];
    ssize_t count = fd < 0 ? -1 : 0;
    while (fd >= 0 && text.size() <= most_bytes && (count = ::read(fd, bytes, sizeof bytes)) > 0)
        text.append(bytes, static_cast<std::size_t>(count));
    const int error = errno;
    if (fd >= 0)
        ::close(fd);
    if (count < 0) {
        assume_restarted(monitor, now);
        return fmt::format("the state file cannot be read: {}{}", std::strerror(error), safe_choice);
    }
    return recall(text, monitor, alerts, now, wall);
}

std::optional<std::string> write_memory(const std::string& path, std::string_view text)
{
    const auto failed = [&](const std::string& what) { return what + ": " + std::strerror(errno); };
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return path + " is not a regular file";
    const auto temporary = path + ".new";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(temporary);
    std::optional<std::string> error;
    while (!text.empty() && !error) {
        const auto count = ::write(fd, text.data(), text.size());
        if (count >= 0)
            text.remove_prefix(static_cast<std::size_t>(count));
        else if (errno != EINTR)
            error = failed(temporary);
    }
    if (!error && ::fsync(fd) != 0)
        error = failed(temporary);
    ::close(fd);
    if (!error && ::rename(temporary.c_str(), path.c_str()) != 0)
        error = failed(path);
    if (error)
        ::unlink(temporary.c_str());
    else
        settle_directory(path);
    return error;
}

}  // namespace keepwell
