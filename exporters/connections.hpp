#pragma once

#include "probes/result.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <list>

namespace keepwell {

namespace asio = boost::asio;

// What is ended from outside: a connection whose peer is too slow, or whose place another one needs.
class Endable {
public:
    virtual void end() = 0;  // soon; may not come back to the list of connections at once

protected:
    ~Endable() = default;
};

// All connections of a server: how many there may be, and how long each may wait for its peer. When there are
// too many, the one that has waited for its peer for the longest makes room: one that is idle, or one that
// sends its request byte by byte. Who is being answered keeps his place. Must outlive its places.
class Connections {
public:
    Connections(asio::io_context& loop, std::size_t most) : most_{most}, timer_{loop} {}
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;

    // Makes room for one more; false when all are being answered.
    bool has_room();

    // One connection's place, as long as it lives.
    class Place {
    public:
        Place(Connections& all, Endable& of);
        ~Place();
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

        // From now on it waits for its peer, at most for so long.
        void waits(Clock::duration limit);
        // It does not; nothing ends it.
        void works();

    private:
        friend class Connections;
        void end();

        Connections& all_;
        Endable& connection_;
        Clock::time_point until_{};
        bool waits_ = false;
        bool ended_ = false;
        std::list<Place*>::iterator entry_;
    };

private:
    void end_late_ones();
    void watch();

    std::size_t most_;
    std::list<Place*> waiting_{};  // who waits for the longest first
    std::list<Place*> working_{};
    asio::steady_timer timer_;
    bool watches_ = false;
};

}  // namespace keepwell
