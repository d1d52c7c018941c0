#include "exporters/blackbox/logs.hpp"

#include "daemon/reader.hpp"  // whose rows text_of() shows
#include "exporters/blackbox/target.hpp"
#include "probes/printable.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keepwell::blackbox {

std::string debug_page(const Attempt& attempt)
{
    return fmt::format("Log of the attempt:\n{}\nMetrics:\n{}\nModule (without secrets):\n{}\n",
                       attempt.log(), attempt.sheet.text(), text_of(attempt.module()));
}

template <class Wanted>
const Record* Logs::latest(Wanted wanted) const
{
    for (const auto* records : {&last_, &failures_})
        if (const auto found = std::find_if(records->rbegin(), records->rend(), wanted);
            found != records->rend())
            return &*found;
    return nullptr;
}

void Logs::add(Record record)
{
    record.id = next_id_++;
    last_.push_back(std::move(record));
    if (last_.size() <= most_)
        return;
    if (!last_.front().success)
        failures_.push_back(std::move(last_.front()));
    last_.pop_front();
    if (failures_.size() > most_)
        failures_.pop_front();
}

const Record* Logs::find(std::uint64_t id) const
{
    return latest([&](const Record& each) { return each.id == id; });
}

const Record* Logs::find(std::string_view target, std::string_view module) const
{
    return latest([&](const Record& each) {
        return each.attempt->target() == target && (module.empty() || each.attempt->module_name() == module);
    });
}

std::string Logs::list() const
{
    std::string text =
        "The last attempts; /logs?id=ID shows one.\n\n     ID  RESULT   MODULE                TARGET\n";
    for (const auto* records : {&last_, &failures_})
        for (auto each = records->rbegin(); each != records->rend(); ++each)
            text +=
                fmt::format("{:7}  {:7}  {:20}  {}\n", each->id, each->success ? "success" : "failure",
                            printable(each->attempt->module_name()), shown_target(each->attempt->target()));
    return text;
}

}  // namespace keepwell::blackbox
