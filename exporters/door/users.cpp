#include "exporters/door/users.hpp"

#include "daemon/log.hpp"
#include "probes/digest.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/random.h>

#include <array>
#include <stdexcept>

namespace keepwell {

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// RFC 4648 §4; nothing for what is not it.
std::optional<std::string> from_base64(std::string_view text)
{
    for (int padding = 0; padding < 2 && text.ends_with('='); ++padding)
        text.remove_suffix(1);
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto value = base64_digits.find(c);
        if (value == base64_digits.npos)
            return {};
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8)
            bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
    return bytes;
}

std::string random_key()
{
    std::string key(32, '\0');
    if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
        throw std::runtime_error{"no random numbers from the system"};
    return key;
}

// A hash that no password is known for, so costly as the costliest of these.
BcryptHash hash_of_nobody(const Users::Hashes& hashes)
{
    int cost = 4;
    for (const auto& [user, hash] : hashes)
        cost = std::max(cost, hash.cost());
    const std::array digits{static_cast<char>('0' + cost / 10), static_cast<char>('0' + cost % 10)};
    return {"$2b$" + std::string{digits.data(), digits.size()} + "$" + std::string(53, '.')};
}

}  // namespace

// One that is being made; `done` is waited for until it is cancelled.
struct Users::Check {
    explicit Check(asio::io_context& loop) : done{loop, Clock::time_point::max()} {}
    asio::steady_timer done;
    bool right = false;
};

std::optional<Credentials> basic_credentials(std::string_view header)
{
    constexpr std::string_view scheme = "basic ";
    const auto lower = [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c | 32 : c); };
    if (header.size() < scheme.size() ||
        !std::ranges::equal(header.substr(0, scheme.size()), scheme, {}, lower))
        return {};
    header.remove_prefix(header.find_first_not_of(' ', scheme.size() - 1) == header.npos
                             ? header.size()
                             : header.find_first_not_of(' ', scheme.size() - 1));
    const auto text = from_base64(header);
    const auto colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos)
        return {};
    return Credentials{.user = text->substr(0, colon), .password = text->substr(colon + 1)};
}

Users::Users(asio::io_context& loop, Worker& worker, Hashes hashes)
    : hashes_{std::move(hashes)},
      nobodys_{hash_of_nobody(hashes_)},
      key_{random_key()},
      worker_{worker},
      loop_{loop}
{
}

std::string Users::digest(const Credentials& credentials) const
{
    return hmac_sha256(key_, credentials.user + ':' + credentials.password);
}

Users::Verdict Users::remembered(const std::string& peer, const Credentials& credentials,
                                 Clock::time_point now) const
{
    // Before anything is compared: or the quick comparison would tell who guesses which password is right.
    if (const auto wait = guesses_.wait(peer, credentials.user, now); wait > Clock::duration{})
        return {Answer::wait, wait};
    const auto known = right_.find(credentials.user);
    const bool right = known != right_.end() && known->second == digest(credentials);
    return {right ? Answer::right : Answer::wrong, {}};
}

asio::awaitable<Users::Verdict> Users::check(std::string peer, Credentials credentials)
{
    const auto now = Clock::now();
    if (const auto verdict = remembered(peer, credentials, now); verdict.answer != Answer::wrong)
        co_return verdict;
    const auto user = credentials.user;
    auto name = digest(credentials);
    auto found = being_checked_.find(name);
    const bool is_first = found == being_checked_.end();
    if (is_first && being_checked_.size() >= most_waiting)
        co_return Verdict{Answer::wait, std::chrono::seconds{1}};
    if (is_first) {
        if (const auto wait = guesses_.count(peer, user, now); wait > Clock::duration{})
            co_return Verdict{Answer::wait, wait};
        found = being_checked_.emplace(name, std::make_shared<Check>(loop_)).first;
        asio::co_spawn(loop_, hash(found->second, std::move(credentials), std::move(name)), asio::detached);
    }
    const auto check = found->second;
    co_await check->done.async_wait(asio::as_tuple(asio::use_awaitable));
    if (is_first && check->right)
        guesses_.forgive(peer, user);
    if (is_first && !check->right)
        log(LogLevel::warn, "wrong user name or password",
            {{"peer", peer}, {"user", hashes_.contains(user) ? user : "unknown"}});
    co_return Verdict{check->right ? Answer::right : Answer::wrong, {}};
}

asio::awaitable<void> Users::hash(std::shared_ptr<Check> check, Credentials credentials, std::string digest)
{
    const auto known = hashes_.find(credentials.user);
    const bool exists = known != hashes_.end();
    bool right = false;
    co_await worker_.run([&right, &credentials, hash = exists ? known->second : nobodys_] {
        right = is_password(credentials.password, hash);
    });
    check->right = exists && right;
    if (check->right)
        right_[credentials.user] = digest;
    being_checked_.erase(digest);
    check->done.cancel();
}

}  // namespace keepwell
