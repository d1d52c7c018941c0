#pragma once

#include "deploy/app/faults.hpp"
#include "deploy/app/metrics.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace keepwell::app {

struct Request {
    std::string method{};
    std::string target{};  // the path, with the query after a question mark
    std::string body{};
};

struct Response {
    int status = 200;
    std::string body{};
    std::string type = "application/json";
    std::map<std::string, std::string> headers{};
};

// {"error": "..."} with a status.
Response problem(int status, std::string_view text);

// Which function answers which path? Routing, the faults, access log and request metrics of every role, apart
// from any HTTP library. Paths are answered with and without a slash at the end. Safe from every thread once
// it listens.
class Site {
public:
    using Handler = std::function<Response(const Request&)>;

    Site(Metrics& metrics, Faults& faults);

    void add(std::string_view method, std::string_view path, Handler handler);

    // Never throws: what a handler throws is logged and answered with 500. HEAD is answered as GET.
    // The faults that take time (hang, slow) are the server's to perform, see `is_command`.
    Response answer(const Request& request) const;

    // Counts and logs what another hand has answered, under a route of the caller's.
    void record(const Request& request, std::string_view route, const Response& response,
                double seconds) const;

    // Whether a fault command, which must be answered even while everything hangs.
    bool is_command(const Request& request) const;

private:
    Response dispatch(const Request& request, std::string& route) const;
    Response command(const Request& request) const;

    Metrics& metrics_;
    Faults& faults_;
    std::map<std::string, std::map<std::string, Handler>, std::less<>> routes_{};  // by path, then by method
};

}  // namespace keepwell::app
