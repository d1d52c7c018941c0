#pragma once

#include "exporters/door/bcrypt.hpp"
#include "exporters/door/guesses.hpp"
#include "exporters/door/worker.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace keepwell {

// Who says he is whom.
struct Credentials {
    std::string user{};
    std::string password{};
};

// The value of an Authorization header (RFC 7617); no user when it is not of the scheme Basic, or malformed.
std::optional<Credentials> basic_credentials(std::string_view header);

// Are somebody's name and password right? Each password is hashed once, on a thread of its own, one at a
// time, and remembered as a digest under a key of this process when it was right: a name that nobody has
// costs the same as one that is known. Those who guess are slowed, each peer for each name.
class Users {
public:
    using Hashes = std::map<std::string, BcryptHash>;
    static constexpr std::size_t most_waiting =
        32;  // passwords to be hashed; beyond, one is asked to come again

    enum class Answer : std::uint8_t { right, wrong, wait };
    struct Verdict {
        Answer answer = Answer::wrong;
        Clock::duration wait{};  // until it makes sense to ask again
    };

    Users(asio::io_context& loop, Worker& worker, Hashes hashes);

    // `peer`: an address, or the network that one customer of a provider has.
    asio::awaitable<Verdict> check(std::string peer, Credentials credentials);
    // The answer that needs no hashing: `right` for what was right before, `wait` for who guesses too much;
    // `wrong` else.
    Verdict remembered(const std::string& peer, const Credentials& credentials, Clock::time_point now) const;

    const Hashes& hashes() const { return hashes_; }

private:
    struct Check;
    std::string digest(const Credentials& credentials) const;
    asio::awaitable<void> hash(std::shared_ptr<Check> check, Credentials credentials, std::string digest);

    Hashes hashes_;
    BcryptHash nobodys_{};  // as costly as the costliest
    std::string key_;
    Guesses guesses_{};
    std::map<std::string, std::string> right_{};  // user to digest
    std::map<std::string, std::shared_ptr<Check>>
        being_checked_{};  // by digest: who asks the same waits for the same
    Worker& worker_;
    asio::io_context& loop_;
};

}  // namespace keepwell
