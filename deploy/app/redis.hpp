#pragma once

#include "deploy/app/lane.hpp"
#include "deploy/app/settings.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::app {

struct RedisReply {
    bool nil = false;
    std::int64_t number = 0;
    std::string text{};
    std::vector<RedisReply> elements{};
};

// One connection to one Redis, made when it is first needed and again after it broke. For one thread at a
// time.
class Redis {
public:
    explicit Redis(RedisSettings settings) : settings_{std::move(settings)} {}

    // Each step (connect, AUTH, the command) has a second; `patience` is added for commands that may block
    // that long. An error reply of the server is an error. A connection that the server had closed meanwhile
    // is replaced once; a command whose answer did not come is never sent twice.
    Result<RedisReply> command(const std::vector<std::string>& words,
                               std::chrono::milliseconds patience = {});

private:
    struct Closer {
        void operator()(void* context) const;
    };
    using Connection = std::unique_ptr<void, Closer>;

    Result<Connection> connect() const;

    RedisSettings settings_;
    Connection connection_{};
};

}  // namespace keepwell::app
