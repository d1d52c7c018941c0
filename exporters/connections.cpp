#include "exporters/connections.hpp"

namespace keepwell {

namespace {

constexpr auto watch_pause = std::chrono::seconds{1};  // that exact are the limits

}  // namespace

Connections::Place::Place(Connections& all, Endable& of)
    : all_{all}, connection_{of}, entry_{all.working_.insert(all.working_.end(), this)}
{
}

Connections::Place::~Place() { (waits_ ? all_.waiting_ : all_.working_).erase(entry_); }

void Connections::Place::waits(Clock::duration limit)
{
    if (ended_)
        return;
    until_ = Clock::now() + limit;
    all_.waiting_.splice(all_.waiting_.end(), waits_ ? all_.waiting_ : all_.working_, entry_);
    waits_ = true;
    all_.watch();
}

void Connections::Place::works()
{
    if (waits_)
        all_.working_.splice(all_.working_.end(), all_.waiting_, entry_);
    waits_ = false;
}

void Connections::Place::end()
{
    works();
    ended_ = true;
    connection_.end();
}

bool Connections::has_room()
{
    if (waiting_.size() + working_.size() < most_)
        return true;
    if (waiting_.empty())
        return false;
    waiting_.front()->end();
    return true;
}

void Connections::watch()
{
    if (watches_)
        return;
    watches_ = true;
    timer_.expires_after(watch_pause);
    timer_.async_wait([this](boost::system::error_code cancelled) {
        if (cancelled)
            return;
        watches_ = false;
        end_late_ones();
        if (!waiting_.empty())
            watch();
    });
}

void Connections::end_late_ones()
{
    const auto now = Clock::now();
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        auto* place = *next++;
        if (place->until_ <= now)
            place->end();
    }
}

}  // namespace keepwell
