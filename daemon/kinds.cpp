#include "daemon/kinds.hpp"

#include <algorithm>

namespace keepwell {

namespace {

template <class Spec>
SharedSpec read_spec(Reader& reader, const Node& node)
{
    const auto before = reader.complaints();
    Spec spec{};
    reader.read(node, spec);
    return reader.complaints() == before ? std::make_shared<const ProbeSpec>(std::move(spec)) : nullptr;
}

template <class... Specs>
std::vector<Kind> make_kinds(const std::variant<Specs...>*)
{
    return {Kind{Specs::kind, Specs::summary, &shape_of<Specs>(), &read_spec<Specs>}...};
}

}  // namespace

std::span<const Kind> kinds()
{
    static const auto all = make_kinds(static_cast<const ProbeSpec*>(nullptr));
    return all;
}

const Kind* find_kind(std::string_view name)
{
    const auto kind = std::ranges::find(kinds(), name, &Kind::name);
    return kind != kinds().end() ? &*kind : nullptr;
}

std::span<const std::string_view> kind_names()
{
    static const auto names = [] {
        std::vector<std::string_view> all;
        for (const auto& kind : kinds())
            all.push_back(kind.name);
        return all;
    }();
    return names;
}

std::string text_of(const ProbeSpec& spec)
{
    return std::visit(
        []<class Spec>(const Spec& each) {
            return std::string{Spec::kind} + " " + text_of_rows(rows_of<Spec>(), &each);
        },
        spec);
}

}  // namespace keepwell
