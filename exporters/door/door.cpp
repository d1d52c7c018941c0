#include "exporters/door/door.hpp"

#include "daemon/log.hpp"

#include <boost/asio/ip/address.hpp>

namespace keepwell {

namespace {

constexpr auto look_pause = 1s;  // between two looks at the file, however many come in

ApiResponse refused(int status, std::string words, std::string_view header, std::string value)
{
    return {status, "text/plain; charset=utf-8", std::move(words) + "\n", {{header, std::move(value)}}};
}

ApiResponse come_again(Clock::duration wait)
{
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    return refused(429, "too many requests", "Retry-After",
                   std::to_string(std::max<std::int64_t>(1, seconds)));
}

// One customer has a network of IPv6 addresses, and could use each of them for a guess or two.
std::string network_of(const std::string& address)
{
    boost::system::error_code error;
    const auto parsed = asio::ip::make_address_v6(address, error);
    if (error || parsed.is_v4_mapped())
        return address;
    auto bytes = parsed.to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return asio::ip::make_address_v6(bytes).to_string() + "/64";
}

}  // namespace

std::expected<void, std::string> Door::open(std::string file)
{
    file_ = std::move(file);
    return reload();
}

std::expected<void, std::string> Door::reload()
{
    if (file_.empty())
        return {};
    auto loaded = load_web_config(file_);
    looked_ = Clock::now();
    if (loaded.ok() && loaded.says_nothing && !(config_ == WebConfig{}))
        loaded.problems.push_back(
            {.file = file_,
             .text = "the file is empty: half-written, perhaps; what was set stays as it is",
             .suggestion = "write {} to switch TLS, users and limits off"});
    complaint_ = loaded.ok() ? "" : render(loaded.problems);
    if (!complaint_.empty())
        return std::unexpected(complaint_);
    if (!(loaded.config == config_))
        take_over(std::move(loaded.config));
    return {};
}

void Door::look_again(Clock::time_point now)
{
    if (file_.empty() || now - looked_ < look_pause)
        return;
    const auto before = complaint_;
    const auto was = config_;
    if (!reload() && complaint_ != before)
        log(LogLevel::error, "the web configuration stays as it was", {{"problems", complaint_}});
    else if (complaint_.empty() && (!before.empty() || !(was == config_)))
        log(LogLevel::info, "web configuration reloaded", {{"file", file_}});
}

void Door::take_over(WebConfig config)
{
    tls_.reset();
    if (config.tls_server_config.is_given())
        tls_ = TlsServer::make(config.tls_server_config).value();  // which was tried while it was read
    if (config.basic_auth_users.empty())
        users_.reset();
    else if (!users_ || users_->hashes() != config.basic_auth_users)
        users_ = std::make_shared<Users>(loop_, hashing_, config.basic_auth_users);
    headers_ = config.http_server_config.headers.lines();
    if (!(config.rate_limit == config_.rate_limit))
        requests_ = {};
    config_ = std::move(config);
}

Visitor Door::visitor(const std::string& name) const
{
    const auto role = config_.roles.find(name);
    return {.name = name,
            .is_known = true,
            .may_act = role != config_.roles.end() && role->second == WebRole::act};
}

Door::Admission Door::admission(const Users::Verdict& verdict, const std::string& user) const
{
    switch (verdict.answer) {
        case Users::Answer::right: return visitor(user);
        case Users::Answer::wait: return std::unexpected(come_again(verdict.wait));
        case Users::Answer::wrong: break;
    }
    return std::unexpected(refused(401, "who are you? a user name and its password are needed",
                                   "WWW-Authenticate", "Basic realm=\"keepwell\", charset=\"UTF-8\""));
}

std::optional<Door::Admission> Door::admit(const Peer& peer, const std::string& authorization,
                                           Clock::time_point now)
{
    look_again(now);
    if (peer.local)
        return Visitor{.may_act = true};
    if (const Rate rate{config_.rate_limit.interval.value, config_.rate_limit.burst};
        rate.interval > Clock::duration{} && !requests_.take(rate, now))
        return std::unexpected(come_again(requests_.wait(rate, now)));
    if (!config_.asks_who())
        return Visitor{.may_act = peer.on_this_host};
    if (!users_)  // the certificate has been checked, or is asked for in vain
        return peer.certificate.empty() ? Visitor{.is_known = true} : visitor(peer.certificate);
    const auto credentials = basic_credentials(authorization);
    if (!credentials)
        return admission({}, {});
    const auto verdict = users_->remembered(network_of(peer.address), *credentials, now);
    if (verdict.answer == Users::Answer::wrong)
        return std::nullopt;
    return admission(verdict, credentials->user);
}

asio::awaitable<Door::Admission> Door::admit_slowly(Peer peer, std::string authorization)
{
    const auto users = users_;
    const auto credentials = basic_credentials(authorization);
    if (!users || !credentials)
        co_return std::unexpected(come_again(1s));  // the configuration has changed just now
    const auto verdict = co_await users->check(network_of(peer.address), *credentials);
    co_return admission(verdict, credentials->user);
}

}  // namespace keepwell
