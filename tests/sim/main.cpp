#include "tests/sim/simulation.hpp"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>

using namespace keepwell;
using namespace keepwell::sim;

namespace {

struct Options {
    std::uint64_t seed = std::random_device{}();
    double years = 1;
    bool fine = true;
};

template <class Number>
bool read(const char* text, Number& number)
{
    const auto* end = text + std::strlen(text);
    return std::from_chars(text, end, number).ptr == end;
}

Options parse(int count, char** words)
{
    Options options;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = words[i];
        if (name == "--seed")
            options.fine = options.fine && read(words[i + 1], options.seed);
        else if (name == "--years")
            options.fine = options.fine && read(words[i + 1], options.years) && options.years > 0 &&
                           options.years <= 100;
        else
            options.fine = false;
    }
    options.fine = options.fine && count % 2 == 1;
    return options;
}

using Count = unsigned long long;

void print(const Simulation& simulation)
{
    const auto& faults = simulation.world().counts();
    const auto& own = simulation.counts();
    const auto& judged = simulation.judge().counts();
    std::printf(
        "faults: %llu crashes, %llu hangs, %llu errors, %llu blips, %llu flapping, %llu hopeless, "
        "%llu bad configurations, %llu stuck after their root's return; %llu repairs by hand\n",
        Count{faults.crashes}, Count{faults.hangs}, Count{faults.errors}, Count{faults.blips},
        Count{faults.flaps}, Count{faults.hopeless}, Count{faults.bad_configs}, Count{faults.stuck},
        Count{faults.repairs});
    std::printf(
        "around: %llu outages of our own network, %llu overloads, %llu exhaustions, %llu freezes, %llu "
        "reloads, "
        "%llu restarts of keepwell, %llu maintenances, %llu pauses\n",
        Count{faults.outages}, Count{faults.overloads}, Count{faults.exhaustions}, Count{own.freezes},
        Count{own.reloads}, Count{own.restarts}, Count{own.maintenances}, Count{own.pauses});
    std::printf(
        "decided: %llu attempts, %llu signals (%llu cascades), %llu actions (%llu succeeded), %llu gates "
        "asked, "
        "%llu quarantines, %llu doubts, %llu self-checks, %llu signals obeyed, %llu resumed by hand\n",
        Count{judged.attempts}, Count{judged.signals}, Count{judged.cascades}, Count{judged.actions},
        Count{judged.succeeded}, Count{judged.gates}, Count{judged.quarantines}, Count{judged.doubts},
        Count{own.self_checks}, Count{own.obeyed}, Count{own.resumed});
    std::printf("holds:");
    for (const auto& [hold, name] : enum_names(Hold{}))
        std::printf(" %s %llu", std::string{name}.c_str(),
                    Count{judged.holds[static_cast<std::size_t>(hold)]});
    std::printf("\nminutes: %llu calm, %llu of instances ill; fingerprint %016llx\n",
                Count{judged.calm_minutes}, Count{judged.ill_minutes},
                Count{simulation.judge().fingerprint()});
}

}  // namespace

int main(int count, char** words)
{
    const auto options = parse(count, words);
    if (!options.fine) {
        std::fprintf(stderr, "usage: keepwell_sim [--seed N] [--years Y]\n");
        return 100;
    }
    std::printf("keepwell_sim --seed %llu --years %g\n", Count{options.seed}, options.years);
    const auto length = std::chrono::duration<double, std::ratio<31'536'000>>{options.years};
    Simulation simulation{options.seed, std::chrono::duration_cast<Clock::duration>(length)};
    simulation.run();
    print(simulation);
    const auto violations = simulation.judge().violations();
    std::printf("%llu checks of invariants, %llu violations\n", Count{simulation.judge().checks()},
                Count{violations});
    return violations == 0 ? 0 : 1;
}
