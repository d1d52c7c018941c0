#include "daemon/lease.hpp"

#include "tests/catch.hpp"

using namespace keepwell;
using namespace std::chrono_literals;
using enum LeaseAnswer;

namespace {

constexpr Clock::time_point start{std::chrono::hours{1}};
constexpr auto ttl = 15s;

// Notes an answer every five seconds, from `from` on; when the last one was asked for.
Clock::time_point note(Lease& lease, std::initializer_list<LeaseAnswer> answers, Clock::time_point from)
{
    for (const auto answer : answers) {
        lease.note(answer, from);
        from += 5s;
    }
    return from - 5s;
}

}  // namespace

TEST_CASE("lease: a new holder acts after one time to live, and everybody else does not")
{
    Lease lease{ttl};
    CHECK_FALSE(lease.acts(start));
    auto last = note(lease, {ours, ours, ours}, start);
    CHECK_FALSE(lease.acts(last));
    last = note(lease, {ours}, last + 5s);
    CHECK(lease.acts(last));
    last = note(lease, {anothers}, last + 5s);
    CHECK_FALSE(lease.acts(last));
    last = note(lease, {ours, ours, ours}, last + 5s);
    CHECK_FALSE(lease.acts(last));
    last = note(lease, {ours}, last + 5s);
    CHECK(lease.acts(last));
}

TEST_CASE("lease: while nobody can be asked its holder goes on, and no other begins")
{
    Lease holder{ttl};
    auto last = note(holder, {ours, ours, ours, ours}, start);
    last = note(holder, {none, none, none, none, none, none}, last + 5s);
    CHECK(holder.acts(last));
    last = note(holder, {anothers}, last + 5s);
    CHECK_FALSE(holder.acts(last));

    Lease other{ttl};
    last = note(other, {none, none, none, none, none}, start);
    CHECK_FALSE(other.acts(last));
    last = note(other, {anothers, none, none, none, none}, last + 5s);
    CHECK_FALSE(other.acts(last));
}

TEST_CASE("lease: whoever did not ask for a time to live begins anew")
{
    Lease lease{ttl};
    auto last = note(lease, {ours, ours, ours, ours}, start);
    CHECK(lease.acts(last + 14s));
    CHECK_FALSE(lease.acts(last + 15s));
    last += 60s;
    lease.note(GENERATE(ours, none), last);
    CHECK_FALSE(lease.acts(last));
    CHECK_FALSE(lease.acts(last + 14s));
}

TEST_CASE("lease: settings that cannot work are refused")
{
    CHECK(LeaseSettings{}.faults().empty());
    CHECK(LeaseSettings{.username = "me"}.faults().size() == 1);
    CHECK(LeaseSettings{.key = ""}.faults().size() == 1);
}
