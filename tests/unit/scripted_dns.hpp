#pragma once

#include "probes/deadline.hpp"
#include "probes/hosts_file.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace keepwell::test {

// What the scripted DNS server does when it is asked for a name.
struct DnsEntry {
    enum class Manner { answer, servfail = 2, no_such_name = 3, refuse = 5, ignore, ignore_aaaa, garbage };
    std::vector<std::string> addresses{};
    std::uint32_t ttl = 60;
    Manner manner = Manner::answer;
};

// A DNS server on loopback (UDP) that knows some names; every other name does not exist, the root does.
class ScriptedDns {
public:
    using Names = std::map<std::string, DnsEntry>;

    ScriptedDns(asio::io_context& loop, Names names,
                asio::ip::udp::endpoint at = {asio::ip::address_v4::loopback(), 0})
        : state_{std::make_shared<State>(loop, std::move(names), at)}
    {
        asio::co_spawn(loop, serve(state_), asio::detached);
    }
    ~ScriptedDns()
    {
        boost::system::error_code ignored;
        state_->socket.close(ignored);
    }
    ScriptedDns(const ScriptedDns&) = delete;
    ScriptedDns& operator=(const ScriptedDns&) = delete;

    std::string address() const
    {
        return "127.0.0.1:" + std::to_string(state_->socket.local_endpoint().port());
    }
    std::uint16_t port() const { return state_->socket.local_endpoint().port(); }
    DnsEntry& operator[](const std::string& name) { return state_->names[name]; }
    int asked(const std::string& name) const
    {
        return state_->asked.contains(name) ? state_->asked.at(name) : 0;
    }

private:
    struct State {
        State(asio::io_context& loop, Names of, const asio::ip::udp::endpoint& at)
            : names{std::move(of)}, socket{loop, at}
        {
        }
        Names names;
        std::map<std::string, int> asked{};
        asio::ip::udp::socket socket;
    };

    static asio::awaitable<void> serve(std::shared_ptr<State> state)
    {
        std::array<char, 2048> packet{};
        asio::ip::udp::endpoint from;
        for (;;) {
            const auto [error, size] = co_await state->socket.async_receive_from(
                asio::buffer(packet), from, asio::as_tuple(asio::use_awaitable));
            if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor)
                co_return;
            const auto answer = size < 12 ? std::string{} : answer_to(*state, {packet.data(), size});
            boost::system::error_code ignored;
            if (!answer.empty())
                state->socket.send_to(asio::buffer(answer), from, 0, ignored);
        }
    }
    // RFC 1035, section 4: header, the question as it came, then the records, which point back at its name.
    static std::string answer_to(State& state, std::string_view query)
    {
        std::string name;
        std::size_t at = 12;
        for (; at < query.size() && query[at] != 0; at += static_cast<std::size_t>(query[at]) + 1)
            name += (name.empty() ? "" : ".") +
                    std::string{query.substr(at + 1, static_cast<unsigned char>(query[at]))};
        const bool wants_v6 = query.size() > at + 2 && query[at + 2] == 28;
        name = lower_case(name);
        ++state.asked[name];
        using How = DnsEntry::Manner;
        const auto known = state.names.find(name);
        DnsEntry entry{.manner = name.empty() ? How::answer : How::no_such_name};
        if (known != state.names.end())
            entry = known->second;
        if (entry.manner == How::ignore || (entry.manner == How::ignore_aaaa && wants_v6))
            return {};
        if (entry.manner == How::garbage)
            return std::string{query.substr(0, 2)} + std::string(40, '\xfe');
        const int code = entry.manner == How::ignore_aaaa ? 0 : static_cast<int>(entry.manner);
        std::string records;
        std::uint16_t count = 0;
        for (const auto& text : entry.addresses) {
            const auto address = asio::ip::make_address(text);
            if (code != 0 || address.is_v6() != wants_v6)
                continue;
            ++count;
            records += std::string{"\xc0\x0c\0", 3} + (wants_v6 ? '\x1c' : '\x01') + std::string{"\0\x01", 2};
            for (int shift = 24; shift >= 0; shift -= 8)
                records += static_cast<char>(entry.ttl >> shift);
            const auto append = [&records](const auto& bytes) {
                records += std::string{'\0', static_cast<char>(bytes.size())};
                records.append(bytes.begin(), bytes.end());
            };
            if (wants_v6)
                append(address.to_v6().to_bytes());
            else
                append(address.to_v4().to_bytes());
        }
        std::string answer{query.substr(0, 2)};
        answer += '\x81';
        answer += static_cast<char>(0x80 | code);
        answer += std::string{"\0\1", 2} + '\0' + static_cast<char>(count) + std::string(4, '\0');
        answer += query.substr(12, at + 5 - 12);
        return answer + records;
    }

    std::shared_ptr<State> state_;
};

}  // namespace keepwell::test
