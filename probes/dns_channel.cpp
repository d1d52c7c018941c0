#include "probes/dns_channel.hpp"

#include "probes/probe.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#define CARES_NO_DEPRECATED  // the calls that c-ares 1.18 (Debian 12) and 1.34 (Debian 13) both have
#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>

namespace keepwell {

namespace {

DnsStatus status_of(int code)
{
    switch (code) {
        case ARES_SUCCESS: return DnsStatus::found;
        case ARES_ENODATA:
        case ARES_ENOTFOUND: return DnsStatus::missing;
        case ARES_EFORMERR:
        case ARES_ESERVFAIL:
        case ARES_ENOTIMP:
        case ARES_EREFUSED:
        case ARES_EBADRESP: return DnsStatus::failed;
        case ARES_EBADNAME:
        case ARES_EBADQUERY:
        case ARES_EBADSTR: return DnsStatus::bad_name;
        default: return DnsStatus::silent;
    }
}

// Why no socket is to be had just now (no descriptors, no memory); 0 when there is one.
int socket_error()
{
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0)
        return errno;
    ::close(socket);
    return 0;
}

// c-ares says the same when a server refuses and when it gets no socket to ask by.
DnsReply unreachable()
{
    if (const int error = socket_error())
        return {.status = DnsStatus::unsent, .detail = std::generic_category().message(error)};
    return {.status = DnsStatus::silent, .refused = true, .detail = "no DNS server could be reached"};
}

DnsReply failure(int code)
{
    switch (code) {
        case ARES_ENOTFOUND: return {.status = DnsStatus::missing, .detail = "no such name"};
        case ARES_ENODATA: return {.status = DnsStatus::missing, .detail = "the name has no such record"};
        case ARES_ESERVFAIL:
            return {.status = DnsStatus::failed, .detail = "the DNS server failed (SERVFAIL)"};
        case ARES_EREFUSED:
            return {.status = DnsStatus::failed, .detail = "the DNS server refused to answer (REFUSED)"};
        case ARES_ETIMEOUT: return {.status = DnsStatus::silent, .detail = "no DNS server answered in time"};
        case ARES_ECONNREFUSED: return unreachable();
        default: return {.status = status_of(code), .detail = ares_strerror(code)};
    }
}

void keep_smaller(std::chrono::seconds& ttl, int seconds)
{
    ttl = std::min(ttl, std::chrono::seconds{std::max(seconds, 0)});
}

DnsReply reply_of(const ares_addrinfo& info)
{
    DnsReply reply{.status = DnsStatus::found, .ttl = std::chrono::seconds::max()};
    for (const auto* node = info.nodes; node; node = node->ai_next) {
        keep_smaller(reply.ttl, node->ai_ttl);
        if (node->ai_family == AF_INET) {
            asio::ip::address_v4::bytes_type bytes{};
            std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr,
                        bytes.size());
            reply.addresses.emplace_back(asio::ip::address_v4{bytes});
        } else if (node->ai_family == AF_INET6) {
            asio::ip::address_v6::bytes_type bytes{};
            std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr,
                        bytes.size());
            reply.addresses.emplace_back(asio::ip::address_v6{bytes});
        }
    }
    for (const auto* alias = info.cnames; alias; alias = alias->next)
        keep_smaller(reply.ttl, alias->ttl);
    return reply.addresses.empty() ? failure(ARES_ENODATA) : reply;
}

// c-ares hands out linked lists that one call frees.
template <class Record>
using Records = std::unique_ptr<Record, decltype([](Record* first) { ares_free_data(first); })>;

// Parses with `parse` and words each record with `text`.
template <class Record>
DnsReply records(int (*parse)(const unsigned char*, int, Record**),
                 void (*text)(const Record&, std::vector<std::string>&), const unsigned char* bytes, int size)
{
    Record* first = nullptr;
    if (const int code = parse(bytes, size, &first); code != ARES_SUCCESS)
        return failure(code);
    const Records<Record> owner{first};
    DnsReply reply{.status = DnsStatus::found};
    for (const auto* each = first; each; each = each->next)
        text(*each, reply.values);
    return reply;
}

void mx_text(const ares_mx_reply& record, std::vector<std::string>& values)
{
    values.push_back(std::to_string(record.priority) + " " + record.host);
}

void srv_text(const ares_srv_reply& record, std::vector<std::string>& values)
{
    values.push_back(std::to_string(record.priority) + " " + std::to_string(record.weight) + " " +
                     std::to_string(record.port) + " " + record.host);
}

// A text record comes in pieces of 255 bytes, which belong together.
void txt_text(const ares_txt_ext& piece, std::vector<std::string>& values)
{
    if (piece.record_start || values.empty())
        values.emplace_back();
    values.back().append(reinterpret_cast<const char*>(piece.txt), piece.length);
}

DnsReply ns_reply(const unsigned char* bytes, int size)
{
    hostent* host = nullptr;
    if (const int code = ares_parse_ns_reply(bytes, size, &host); code != ARES_SUCCESS)
        return failure(code);
    DnsReply reply{.status = DnsStatus::found};
    for (char** name = host->h_aliases; name && *name; ++name)
        reply.values.emplace_back(*name);
    ares_free_hostent(host);
    return reply;
}

DnsReply parsed(RecordType type, const unsigned char* bytes, int size)
{
    switch (type) {
        case RecordType::mx: return records(ares_parse_mx_reply, mx_text, bytes, size);
        case RecordType::srv: return records(ares_parse_srv_reply, srv_text, bytes, size);
        case RecordType::txt: return records(ares_parse_txt_reply_ext, txt_text, bytes, size);
        case RecordType::ns: return ns_reply(bytes, size);
        case RecordType::any:
        case RecordType::a:
        case RecordType::aaaa: break;  // by look_up()
    }
    return failure(ARES_EBADQUERY);
}

int wire_type(RecordType type)
{
    switch (type) {
        case RecordType::mx: return ns_t_mx;
        case RecordType::txt: return ns_t_txt;
        case RecordType::srv: return ns_t_srv;
        case RecordType::ns: return ns_t_ns;
        case RecordType::any:
        case RecordType::a: return ns_t_a;
        case RecordType::aaaa: return ns_t_aaaa;
    }
    return ns_t_a;
}

}  // namespace

DnsReply records_in(RecordType type, std::string_view answer)
{
    return parsed(type, reinterpret_cast<const unsigned char*>(answer.data()),
                  static_cast<int>(answer.size()));
}

struct DnsChannel::Impl : std::enable_shared_from_this<Impl> {
    // A socket of c-ares' that the loop watches but does not own.
    struct Socket {
        asio::posix::stream_descriptor descriptor;
        bool want_read = false, want_write = false;
        bool reading = false, writing = false;
    };
    // What a callback of c-ares' needs; owns itself until it is called.
    struct Call {
        Impl* impl;
        RecordType type;
        DnsCallback done;
    };

    explicit Impl(const asio::any_io_executor& on) : executor{on}, timer{on} {}

    void open(const DnsSettings& settings);
    void close();
    Call* begin(RecordType type, DnsCallback done);
    static void end(std::unique_ptr<Call> call, DnsReply reply);
    void watch(ares_socket_t fd, bool read, bool write);
    void wait(ares_socket_t fd, const std::shared_ptr<Socket>& socket);
    void ready(ares_socket_t fd, bool read, const std::shared_ptr<Socket>& socket);
    void arm();

    static void on_socket_state(void* self, ares_socket_t fd, int read, int write)
    {
        static_cast<Impl*>(self)->watch(fd, read != 0, write != 0);
    }
    static void on_addresses(void* argument, int code, int, ares_addrinfo* info)
    {
        std::unique_ptr<Call> call{static_cast<Call*>(argument)};
        auto reply = code == ARES_SUCCESS && info ? reply_of(*info) : failure(code);
        ares_freeaddrinfo(info);
        end(std::move(call), std::move(reply));
    }
    static void on_records(void* argument, int code, int, unsigned char* bytes, int size)
    {
        std::unique_ptr<Call> call{static_cast<Call*>(argument)};
        const auto type = call->type;
        end(std::move(call), code == ARES_SUCCESS ? parsed(type, bytes, size) : failure(code));
    }

    asio::any_io_executor executor;
    asio::steady_timer timer;
    ares_channel channel = nullptr;
    std::map<ares_socket_t, std::shared_ptr<Socket>> sockets{};
    Clock::time_point answered_at{};
    int open_queries = 0;
    bool knocking = false;
    bool closing = false;
};

void DnsChannel::Impl::open(const DnsSettings& settings)
{
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    ares_options options{};
    char lookups[] = "b";
    std::string resolv_conf = settings.resolv_conf;
    options.lookups = lookups;  // the hosts file is read by HostsFile
    options.timeout = static_cast<int>(settings.first_try.count());
    options.tries = settings.rounds;
    options.udp_port = settings.port;
    options.tcp_port = settings.port;
    options.resolvconf_path = resolv_conf.data();
    options.sock_state_cb = &Impl::on_socket_state;
    options.sock_state_cb_data = this;
    int mask = ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT |
               ARES_OPT_TCP_PORT | ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
    if (settings.literally) {
        options.flags = ARES_FLAG_NOCHECKRESP;
        mask |= ARES_OPT_FLAGS | ARES_OPT_DOMAINS;
    }
#ifdef ARES_OPT_QUERY_CACHE  // c-ares 1.31 keeps answers for up to an hour unless told not to; NameCache does
                             // it here
    options.qcache_max_ttl = 0;
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    int code = library == ARES_SUCCESS ? ares_init_options(&channel, &options, mask) : library;
    if (code == ARES_SUCCESS && !settings.servers.empty())
        code = ares_set_servers_ports_csv(channel, settings.servers.c_str());
    if (code == ARES_SUCCESS)
        return;
    if (const int error = socket_error())  // it could not open resolv.conf either
        throw Failure{not_attempted(Reason::resource_exhausted, std::generic_category().message(error))};
    throw Failure{not_attempted(Reason::resolver_unavailable, std::string{"c-ares: "} + ares_strerror(code))};
}

void DnsChannel::Impl::close()
{
    closing = true;
    timer.cancel();
    if (channel)
        ares_destroy(channel);  // ends all queries and lets watch() release all sockets
    channel = nullptr;
    sockets.clear();
}

// c-ares hands the call back exactly once, to on_addresses() or on_records().
DnsChannel::Impl::Call* DnsChannel::Impl::begin(RecordType type, DnsCallback done)
{
    ++open_queries;
    return new Call{this, type, std::move(done)};
}

void DnsChannel::Impl::end(std::unique_ptr<Call> call, DnsReply reply)
{
    --call->impl->open_queries;
    if (!call->impl->closing)
        call->done(std::move(reply));
}

void DnsChannel::Impl::watch(ares_socket_t fd, bool read, bool write)
{
    auto& socket = sockets[fd];
    if (!read && !write) {
        if (socket)
            socket->descriptor.release();  // c-ares closes it right after this call
        sockets.erase(fd);
        return;
    }
    if (!socket)
        socket = std::make_shared<Socket>(Socket{.descriptor{executor, fd}});
    socket->want_read = read;
    socket->want_write = write;
    wait(fd, std::shared_ptr{socket});
}

void DnsChannel::Impl::wait(ares_socket_t fd, const std::shared_ptr<Socket>& socket)
{
    using Descriptor = asio::posix::stream_descriptor;
    const std::weak_ptr<Impl> weak = weak_from_this();
    if (socket->want_read && !socket->reading) {
        socket->reading = true;
        socket->descriptor.async_wait(Descriptor::wait_read,
                                      [weak, fd, socket](boost::system::error_code error) {
                                          socket->reading = false;
                                          if (const auto self = weak.lock(); self && !error)
                                              self->ready(fd, true, socket);
                                      });
    }
    if (socket->want_write && !socket->writing) {
        socket->writing = true;
        socket->descriptor.async_wait(Descriptor::wait_write,
                                      [weak, fd, socket](boost::system::error_code error) {
                                          socket->writing = false;
                                          if (const auto self = weak.lock(); self && !error)
                                              self->ready(fd, false, socket);
                                      });
    }
}

// The number of one closed socket may soon be that of another: only the object tells.
void DnsChannel::Impl::ready(ares_socket_t fd, bool read, const std::shared_ptr<Socket>& socket)
{
    const auto is_watched = [&] {
        const auto found = sockets.find(fd);
        return found != sockets.end() && found->second == socket;
    };
    if (!is_watched())
        return;
    int arrived = 0;  // an ICMP error wakes a socket too, but brings no bytes
    if (read && ::ioctl(fd, FIONREAD, &arrived) == 0 && arrived > 0)
        answered_at = Clock::now();
    ares_process_fd(channel, read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
    if (is_watched())
        wait(fd, socket);
    arm();
}

// Wakes c-ares when its next time-out is due.
void DnsChannel::Impl::arm()
{
    timeval left{};
    if (open_queries == 0 || !ares_timeout(channel, nullptr, &left)) {
        timer.cancel();
        return;
    }
    timer.expires_after(std::chrono::seconds{left.tv_sec} + std::chrono::microseconds{left.tv_usec + 500});
    timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        const auto self = weak.lock();
        if (!self || error || self->closing)
            return;
        ares_process_fd(self->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        self->arm();
    });
}

DnsChannel::DnsChannel(const asio::any_io_executor& executor, const DnsSettings& settings)
    : impl_{std::make_shared<Impl>(executor)}
{
    impl_->open(settings);
}

DnsChannel::~DnsChannel() { impl_->close(); }

void DnsChannel::look_up(const std::string& name, RecordType type, DnsCallback done)
{
    ares_addrinfo_hints hints{};
    hints.ai_family = type == RecordType::aaaa ? AF_INET6 : AF_INET;
    hints.ai_flags = ARES_AI_NOSORT;
    hints.ai_socktype = SOCK_STREAM;
    auto* call = impl_->begin(type, std::move(done));
    ares_getaddrinfo(impl_->channel, name.c_str(), nullptr, &hints, &Impl::on_addresses, call);
    impl_->arm();
}

void DnsChannel::query(const std::string& name, RecordType type, DnsCallback done)
{
    auto* call = impl_->begin(type, std::move(done));
    ares_query(impl_->channel, name.c_str(), ns_c_in, wire_type(type), &Impl::on_records, call);
    impl_->arm();
}

void DnsChannel::knock()
{
    if (impl_->knocking)
        return;
    impl_->knocking = true;
    query(".", RecordType::ns, [impl = impl_.get()](const DnsReply&) { impl->knocking = false; });
}

Clock::time_point DnsChannel::answered_at() const { return impl_->answered_at; }
int DnsChannel::open_queries() const { return impl_->open_queries; }

}  // namespace keepwell
