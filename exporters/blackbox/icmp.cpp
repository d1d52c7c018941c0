#include "exporters/blackbox/attempt.hpp"
#include "exporters/blackbox/lookup.hpp"

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

namespace keepwell::blackbox {

namespace {

constexpr Gauge phases{"probe_icmp_duration_seconds", "Time of each phase."};
constexpr Gauge hop_limit{"probe_icmp_reply_hop_limit", "The reply's hop limit, or TTL for IPv4."};

constexpr std::size_t header_bytes = 8;  // type, code, checksum, identifier, sequence (RFC 792, RFC 4443)
constexpr std::string_view usual_payload = "keepwell asks whether you are here";

// Echo requests by a socket that the kernel keeps the identifiers of (ping_group_range in icmp(7)), else by a
// raw one, which gets everybody's replies.
struct EchoSocket {
    int fd = -1;
    bool raw = false;
    bool v6 = false;
    std::uint16_t identifier = 0;
};

[[noreturn]] void cannot(const std::string& what)
{
    throw Failure{not_attempted(Reason::permission_denied, what + ": " + std::strerror(errno))};
}

std::uint16_t random16() { return static_cast<std::uint16_t>(std::random_device{}()); }

EchoSocket open_socket(const asio::ip::address& to)
{
    const int family = to.is_v6() ? AF_INET6 : AF_INET;
    const int protocol = to.is_v6() ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP);
    EchoSocket socket{.v6 = to.is_v6(), .identifier = random16()};
    socket.fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (socket.fd < 0) {
        socket.raw = true;
        socket.fd = ::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    }
    if (socket.fd < 0)
        cannot("neither net.ipv4.ping_group_range nor CAP_NET_RAW allows a socket for ICMP");
    return socket;
}

void set(const EchoSocket& socket, int v4_option, int v6_option, int value)
{
    if (socket.v6)
        ::setsockopt(socket.fd, IPPROTO_IPV6, v6_option, &value, sizeof value);
    else
        ::setsockopt(socket.fd, IPPROTO_IP, v4_option, &value, sizeof value);
}

// Connected, so that only the target's packets come.
void configure(const EchoSocket& socket, const IcmpModule& module, const asio::ip::address& to)
{
    using asio::ip::udp;
    set(socket, IP_RECVTTL, IPV6_RECVHOPLIMIT, 1);
    if (module.ttl > 0)
        set(socket, IP_TTL, IPV6_UNICAST_HOPS, module.ttl);
    if (module.dont_fragment && !socket.v6)
        set(socket, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO);
    if (!module.source_ip_address.empty()) {
        const udp::endpoint from{asio::ip::make_address(module.source_ip_address), 0};
        if (::bind(socket.fd, from.data(), static_cast<socklen_t>(from.size())) != 0)
            cannot("source_ip_address " + module.source_ip_address);
    }
    const udp::endpoint endpoint{to, 0};
    if (::connect(socket.fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
        throw boost::system::system_error{errno, boost::system::system_category()};
}

void put16(std::string& bytes, std::size_t at, std::uint16_t value)
{
    bytes[at] = static_cast<char>(value >> 8);
    bytes[at + 1] = static_cast<char>(value & 0xff);
}

// RFC 1071.
std::uint16_t checksum(std::string_view bytes)
{
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

std::string packet(const EchoSocket& socket, std::uint16_t sequence, int payload_size)
{
    const auto size = payload_size > 0 ? static_cast<std::size_t>(payload_size) : usual_payload.size();
    std::string bytes(header_bytes + size, '\0');
    std::ranges::copy(usual_payload.substr(0, size), bytes.begin() + header_bytes);
    bytes[0] = static_cast<char>(socket.v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
    put16(bytes, 4, socket.identifier);
    put16(bytes, 6, sequence);
    if (!socket.v6)  // the kernel makes that of ICMPv6
        put16(bytes, 2, checksum(bytes));
    return bytes;
}

// Whether these bytes answer the request. Of a ping socket, the kernel has changed and checked the
// identifier.
bool answers(const EchoSocket& socket, std::string_view reply, std::string_view request)
{
    if (socket.raw && !socket.v6 && !reply.empty())  // the IP header comes, too
        reply.remove_prefix(
            std::min<std::size_t>(reply.size(), (static_cast<unsigned char>(reply[0]) & 15U) * 4U));
    const auto type = static_cast<char>(socket.v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
    return reply.size() == request.size() && reply[0] == type && reply[1] == 0 &&
           (!socket.raw || reply.substr(4, 2) == request.substr(4, 2)) &&
           reply.substr(6) == request.substr(6);
}

struct Received {
    std::string_view bytes{};
    int hops = -1;
};

// Nothing when there is nothing after all.
std::optional<Received> receive(const EchoSocket& socket, std::vector<char>& buffer)
{
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, 256> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(socket.fd, &message, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return {};
    if (size < 0)
        throw boost::system::system_error{errno, boost::system::system_category()};
    Received received{.bytes = {buffer.data(), static_cast<std::size_t>(size)}};
    for (auto* each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
        if ((each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_TTL) ||
            (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_HOPLIMIT))
            std::memcpy(&received.hops, CMSG_DATA(each), sizeof received.hops);
    return received;
}

}  // namespace

asio::awaitable<bool> probe_icmp(SharedAttempt attempt)
{
    const auto& module = attempt->module().icmp;
    auto& sheet = attempt->sheet;
    for (const auto* phase : {"resolve", "setup", "rtt"})
        sheet.set_phase(phases, phase, 0);
    const auto begun = Clock::now();
    const auto address = co_await look_up(attempt->target(), module.preferred_ip_protocol,
                                          module.ip_protocol_fallback, attempt);
    const auto resolved = Clock::now();
    sheet.set_phase(phases, "resolve", seconds(resolved - begun));
    if (!address)
        co_return false;
    const auto socket = open_socket(*address);
    asio::posix::stream_descriptor descriptor{co_await asio::this_coro::executor, socket.fd};  // owns it
    configure(socket, module, *address);
    const auto request = packet(socket, random16(), module.payload_size);
    const auto sent = Clock::now();
    sheet.set_phase(phases, "setup", seconds(sent - resolved));
    attempt->info("sends an echo request", {{"socket", socket.raw ? "raw" : "ping"}});
    if (::send(socket.fd, request.data(), request.size(), MSG_NOSIGNAL) < 0)
        throw boost::system::system_error{errno, boost::system::system_category()};
    std::vector<char> buffer(65'536);
    for (;;) {
        co_await descriptor.async_wait(descriptor.wait_read, asio::use_awaitable);
        const auto received = receive(socket, buffer);
        if (!received || !answers(socket, received->bytes, request))
            continue;
        sheet.set_phase(phases, "rtt", seconds(Clock::now() - sent));
        if (received->hops >= 0)
            sheet.set(hop_limit, received->hops);
        co_return true;
    }
}

}  // namespace keepwell::blackbox
