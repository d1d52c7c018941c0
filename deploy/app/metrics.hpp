#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace keepwell::app {

// What does Prometheus get to see of this process? Safe from every thread.
class Metrics {
public:
    Metrics(std::string_view role, std::string_view version);
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;
    ~Metrics();

    // route is a path from the program's own list, never what a client sent: the number of series is bounded.
    void request(std::string_view route, std::string_view method, int code, double seconds);
    void dependency(std::string_view name, bool up);
    void job(std::string_view result);
    void beat(std::string_view way, bool arrived);
    void open_websockets(int count);

    std::string text() const;  // the exposition

private:
    struct Families;
    std::unique_ptr<Families> families_;
};

}  // namespace keepwell::app
