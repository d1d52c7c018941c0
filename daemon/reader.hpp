#pragma once

#include "daemon/node.hpp"
#include "daemon/shape.hpp"

#include <functional>
#include <limits>
#include <tuple>

namespace keepwell {

// Reads values of any type that a field table may hold (probes/field.hpp) from the nodes of one file. What is
// wrong is collected, with its place, and the value stays as it was; nothing is thrown, and no secret is
// repeated. A lone scalar is a list of one; a scalar or list in place of a table is the table's first row,
// where that may stand alone; an optional table is also switched on and off by true and false. A list in
// place of a text value with `static constexpr bool comma_list = true` is joined with commas.
class Reader {
public:
    // Relative paths of `*_file` keys are taken from `directory`.
    Reader(std::string file, std::string directory, std::vector<Problem>& problems)
        : file_{std::move(file)}, directory_{std::move(directory)}, problems_{problems}
    {
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // One step down, until the end of the scope.
    class Step {
    public:
        template <class KeyOrIndex>
        Step(Path& path, KeyOrIndex where) : path_{path}
        {
            path_.enter(where);
        }
        ~Step() { path_.leave(); }
        Step(const Step&) = delete;
        Step& operator=(const Step&) = delete;

    private:
        Path& path_;
    };
    [[nodiscard]] Step enter(std::string_view key) { return {path_, key}; }
    [[nodiscard]] Step enter(std::size_t index) { return {path_, index}; }

    template <class T>
    void read(const Node& node, T& value, const Bounds& bounds = {});

    void complain(Mark mark, std::string text, std::string suggestion = {},
                  Severity severity = Severity::error);
    void warn(Mark mark, std::string text, std::string suggestion = {});
    void unknown_key(const Node& child, std::span<const std::string_view> known);
    void expected(const Node& node, std::string_view what, std::string suggestion = {});
    std::size_t complaints() const { return complaints_; }  // errors so far, also those that were not kept

    // Reads a mapping (or nothing) into the members that the rows describe. `takes` is asked for each key
    // that no row knows; what it does not take either is an unknown key. `more_names` are the names that it
    // would take.
    using Takes = std::function<bool(const Node& child)>;
    void read_rows(const Node& node, std::span<const Row> rows, void* object, const Takes& takes = {},
                   std::span<const std::string_view> more_names = {});

private:
    bool read_boolean(const Node& node, bool& value);
    bool read_integer(const Node& node, std::int64_t& value, const Bounds& bounds);
    bool read_number(const Node& node, double& value);
    bool read_text(const Node& node, std::string& value, std::string_view type_name);
    bool read_joined(const Node& list, std::string& value);
    const std::string_view* read_choice(const Node& node, std::span<const std::string_view> names);
    void read_table(const Node& node, const Shape& shape, void* object);
    void read_row(const Node& node, const Row& row, void* object);
    bool read_row_file(const Node& child, std::span<const Row> rows, void* object);
    void read_secret_file(const Node& node, const Row& row, void* object);
    void require(const Node& node, std::span<const Row> rows);
    std::string resolved(const std::string& path) const;
    // True when a length of time or a size is within its bounds and within reason; complains when not.
    bool in_range(const Node& node, std::int64_t value, const Bounds& bounds, Shape::Measure measure);
    template <class T>
    void read_list(const Node& node, std::vector<T>& value, const Bounds& bounds);
    template <class T>
    void read_map(const Node& node, std::map<std::string, T>& value, const Bounds& bounds);
    template <TextValue T>
    void read_text_value(const Node& node, T& value, const Bounds& bounds);
    // What must not be judged of the table that was read last, because it is told already that it is wrong.
    struct Broken {
        std::vector<std::string_view> keys{};  // of rows: what was read is not what was meant
        bool unknown_key = false;              // which may have been meant as any row that is not given
        bool whole = false;                    // it is no table at all
        bool nothing() const { return keys.empty() && !unknown_key && !whole; }
    };
    template <class T>
    void call_faults(const Node& node, const T& value);
    void fault(const Node& node, std::span<const Row> rows, const std::string& words);
    bool follows_from_broken(const Node& node, std::span<const Row> rows, std::string_view words) const;

    std::string file_;
    std::string directory_;
    std::vector<Problem>& problems_;
    std::size_t complaints_ = 0;
    Broken broken_{};
    Path path_{};
    friend struct RowAccess;
};

// True for the bare word that switches an optional table.
inline bool is_switch(const Node& node, std::string_view word)
{
    return node.is_scalar() && !node.quoted && node.text == word;
}

// What a bounded value with a measure counts.
inline std::int64_t magnitude(const Duration& value) { return value.value.count(); }
inline std::int64_t magnitude(const ByteSize& value)
{
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    return value.bytes > static_cast<std::uint64_t>(most) ? most : static_cast<std::int64_t>(value.bytes);
}

template <TextValue T>
void Reader::read_text_value(const Node& node, T& value, const Bounds& bounds)
{
    std::string text;
    const bool joined = requires { T::comma_list; } && node.is_sequence();
    if (joined ? !read_joined(node, text) : !read_text(node, text, T::type_name))
        return;
    auto parsed = T::parse(text);
    if (!parsed && node.from_variable && !parsed.error().starts_with("expected"))
        return expected(node, "expected a " + std::string{T::type_name});  // the error may repeat the value
    if (!parsed)
        return expected(node, parsed.error());
    if constexpr (requires { magnitude(value); })
        if (!in_range(node, magnitude(*parsed), bounds, shape_of<T>().measure))
            return;
    value = *std::move(parsed);
}

template <class T>
void Reader::read_list(const Node& node, std::vector<T>& value, const Bounds& bounds)
{
    const auto& shape = shape_of<T>();
    if (node.is_scalar() && shape.is_scalar()) {
        T only{};
        read(node, only, bounds);
        value = {std::move(only)};
        return;
    }
    if (!node.is_sequence())
        return expected(node, "expected a list", node.is_mapping() ? "begin each item with \"- \"" : "");
    value.assign(node.children.size(), T{});
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        const auto step = enter(i);
        read(node.children[i], value[i], bounds);
    }
}

template <class T>
void Reader::read_map(const Node& node, std::map<std::string, T>& value, const Bounds& bounds)
{
    if (!node.is_mapping())
        return expected(node, "expected a mapping",
                        node.is_sequence() ? "write \"name: value\" without \"- \"" : "");
    value.clear();
    for (const auto& child : node.children) {
        const auto step = enter(child.key);
        auto& place = value[child.key];
        if (!child.is_null() || !std::same_as<T, std::string>)
            read(child, place, bounds);
    }
}

template <class T>
void Reader::call_faults(const Node& node, const T& value)
{
    if constexpr (requires { value.faults(); })
        if (!broken_.whole)
            for (const auto& words : value.faults())
                fault(node, shape_of<T>().rows, words);
}

template <class T>
void Reader::read(const Node& node, T& value, const Bounds& bounds)
{
    if (node.broken)
        return;
    if constexpr (is_a<T, Deferred>)
        value.node = &node;
    else if constexpr (requires { value.read_from(*this, node); })
        value.read_from(*this, node);
    else if constexpr (std::same_as<T, bool>)
        read_boolean(node, value);
    else if constexpr (std::integral<T>) {
        constexpr std::int64_t least = std::is_signed_v<T> ? std::int64_t{std::numeric_limits<T>::min()} : 0;
        constexpr std::int64_t most = sizeof(T) >= 8
                                          ? std::numeric_limits<std::int64_t>::max()
                                          : static_cast<std::int64_t>(std::numeric_limits<T>::max());
        std::int64_t number = 0;
        if (read_integer(node, number, {std::max(bounds.least, least), std::min(bounds.most, most)}))
            value = static_cast<T>(number);
    } else if constexpr (std::floating_point<T>) {
        double number = 0;
        if (read_number(node, number))
            value = static_cast<T>(number);
    } else if constexpr (std::same_as<T, std::string>)
        read_text(node, value, "text");
    else if constexpr (TextValue<T>)
        read_text_value(node, value, bounds);
    else if constexpr (NamedEnum<T>) {
        if (const auto* name = read_choice(node, names_of<T>()))
            value = enum_names(T{})[static_cast<std::size_t>(name - names_of<T>().data())].value;
    } else if constexpr (is_a<T, std::vector>)
        read_list(node, value, bounds);
    else if constexpr (is_a<T, std::map>)
        read_map(node, value, bounds);
    else if constexpr (is_a<T, std::optional>) {
        using Inner = typename T::value_type;
        const bool table = shape_of<Inner>().form == Shape::Form::table;
        if (node.is_null() || (table && is_switch(node, "false")))
            return value.reset();
        const auto before = complaints_;
        Inner inner = value.value_or(Inner{});
        if (table && is_switch(node, "true"))
            require(Node{.mark = node.mark, .key_mark = node.key_mark}, shape_of<Inner>().rows);
        else
            read(node, inner, bounds);
        if (complaints_ == before)
            value = std::move(inner);
    } else {
        read_table(node, shape_of<T>(), &value);
        call_faults(node, value);
    }
}

// How a row of a table reaches the member that it describes.
struct RowAccess {
    template <class Struct, std::size_t index>
    static constexpr auto field = std::get<index>(Struct::fields());

    template <class Struct, std::size_t index>
    static void read(Reader& reader, const Node& node, void* object, const Bounds& bounds)
    {
        reader.read(node, static_cast<Struct*>(object)->*field<Struct, index>.member, bounds);
    }
    template <class Struct, std::size_t index>
    static std::string text(const void* object)
    {
        return text_of(static_cast<const Struct*>(object)->*field<Struct, index>.member);
    }
    template <class Struct, std::size_t index>
    static Row row(const Struct& defaults)
    {
        const auto& described = field<Struct, index>;
        using Value = std::remove_cvref_t<decltype(defaults.*described.member)>;
        return {
            .name = described.name,
            .need = described.need,
            .help = described.help,
            .bounds = described.bounds,
            .shape = &shape_of<Value>(),
            .read = &read<Struct, index>,
            .text = &text<Struct, index>,
            .default_text = text<Struct, index>(&defaults),
            .file_name = shape_of<Value>().secret ? std::string{described.name} + "_file" : std::string{}};
    }
    template <class Struct>
    static std::vector<Row> rows()
    {
        const Struct defaults{};
        return [&]<std::size_t... index>(std::index_sequence<index...>) {
            return std::vector<Row>{row<Struct, index>(defaults)...};
        }(std::make_index_sequence<std::tuple_size_v<decltype(Struct::fields())>>{});
    }
};

template <class T>
std::span<const Row> rows_of()
{
    static const std::vector<Row> rows = RowAccess::rows<T>();
    return rows;
}

}  // namespace keepwell
