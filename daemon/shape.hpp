#pragma once

#include "daemon/problem.hpp"
#include "probes/byte_size.hpp"
#include "probes/duration.hpp"
#include "probes/field.hpp"
#include "probes/secret.hpp"

#include <array>
#include <concepts>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace keepwell {

class Reader;
struct Node;
struct Row;

// What a configuration value looks like: made once per C++ type from its field table, so that what reads,
// checks and documents a configuration is written once, without templates.
struct Shape {
    enum class Form : std::uint8_t {
        boolean,
        integer,
        number,
        text,    // also durations, addresses and the like: `type_name` says which
        choice,  // one of `choices`
        list,    // of `element`; a lone scalar is a list of one
        map,     // from names to `element`
        table,   // `rows`; any other value is the first row's when that may stand alone
        either,  // one of `alternatives`
    };
    // What the bounds of a number count.
    enum class Measure : std::uint8_t { plain, nanoseconds, bytes };

    Form form = Form::text;
    std::string_view type_name = "text";
    Measure measure = Measure::plain;
    bool secret = false;
    bool comma_list = false;  // a text that may be given as a list
    bool switchable = false;  // a table that `true` asks for with its defaults and `false` leaves out
    bool probe = false;       // a table that also has one key that is a kind of probe
    std::span<const std::string_view> choices{};
    const Shape* element = nullptr;
    std::span<const Row> rows{};
    std::vector<const Shape*> alternatives{};

    bool is_scalar() const { return form < Form::list; }
    bool needs_keys() const;  // a table with a required key, or one that needs a kind
    // The row whose value may stand for the whole table; null when no value may.
    const Row* bare() const;
};

// The bounds within reason: no size or duration is negative, and no duration longer than a year.
Bounds limits_of(const Bounds& bounds, Shape::Measure measure);
// ` between 1 and 10`, ` of at least 1`, ` of at most 10`, or nothing.
std::string limits_in_words(const Bounds& bounds, Shape::Measure measure);

// One key of a table, with what is known of it at run time.
struct Row {
    std::string_view name;
    Need need;
    std::string_view help;
    Bounds bounds;
    const Shape* shape;
    // Reads the node into the row's member of the object; shows the member's value, empty for an empty value.
    void (*read)(Reader& reader, const Node& node, void* object, const Bounds& bounds);
    std::string (*text)(const void* object);
    std::string default_text;
    std::string file_name;  // of a secret: the key that names a file instead

    bool names_file() const;  // a path that must be readable when the configuration is loaded
};

// A value that is read later, by hand: it keeps its node, and the shape of T for the documentation.
template <class T>
struct Deferred {
    const Node* node = nullptr;
};

// The shape of a value that may be given in several ways.
template <class... Ts>
struct Either {};

template <class T>
concept Described = requires { T::fields(); };
template <class T>
concept TextValue = requires(std::string_view text, const T& value) {
    { T::parse(text) } -> std::same_as<std::expected<T, std::string>>;
    { T::type_name } -> std::convertible_to<std::string_view>;
    { value.text() } -> std::convertible_to<std::string>;
};
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires { enum_names(T{}); };

template <class T, template <class...> class Template>
inline constexpr bool is_a = false;
template <template <class...> class Template, class... Args>
inline constexpr bool is_a<Template<Args...>, Template> = true;

template <class T>
const Shape& shape_of();

// The names of an enumeration as one array that lives as long as the program.
template <NamedEnum E>
std::span<const std::string_view> names_of()
{
    static constexpr auto names = [] {
        std::array<std::string_view, enum_names(E{}).size()> all{};
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = enum_names(E{})[i].name;
        return all;
    }();
    return names;
}

template <class T>
std::span<const Row> rows_of();

template <class T>
constexpr bool has_comma_list = requires { T::comma_list; };
template <class T>
constexpr bool takes_a_kind = requires { T::holds_kind; };

template <class T>
Shape make_shape()
{
    using Form = Shape::Form;
    if constexpr (std::same_as<T, bool>)
        return {.form = Form::boolean, .type_name = "true or false"};
    else if constexpr (std::integral<T>)
        return {.form = Form::integer, .type_name = "whole number"};
    else if constexpr (std::floating_point<T>)
        return {.form = Form::number, .type_name = "number"};
    else if constexpr (std::same_as<T, std::string>)
        return {.form = Form::text};
    else if constexpr (std::same_as<T, Secret>)
        return {.form = Form::text, .type_name = T::type_name, .secret = true};
    else if constexpr (std::same_as<T, Duration>)
        return {.form = Form::text, .type_name = T::type_name, .measure = Shape::Measure::nanoseconds};
    else if constexpr (std::same_as<T, ByteSize>)
        return {.form = Form::text, .type_name = T::type_name, .measure = Shape::Measure::bytes};
    else if constexpr (TextValue<T>)
        return {.form = Form::text, .type_name = T::type_name, .comma_list = has_comma_list<T>};
    else if constexpr (NamedEnum<T>)
        return {.form = Form::choice, .type_name = "word", .choices = names_of<T>()};
    else if constexpr (Described<T>)
        return {.form = Form::table, .type_name = "mapping", .probe = takes_a_kind<T>, .rows = rows_of<T>()};
    else if constexpr (is_a<T, std::vector>)
        return {.form = Form::list, .type_name = "list", .element = &shape_of<typename T::value_type>()};
    else if constexpr (is_a<T, std::map>)
        return {.form = Form::map, .type_name = "mapping", .element = &shape_of<typename T::mapped_type>()};
    else
        static_assert(!sizeof(T), "this type cannot stand in a field table");
}

template <class T>
struct ShapeOf {
    static Shape make() { return make_shape<T>(); }
};
template <class T>
struct ShapeOf<std::optional<T>> {
    static Shape make()
    {
        auto shape = make_shape<T>();
        shape.switchable = shape.form == Shape::Form::table;
        return shape;
    }
};
template <class T>
struct ShapeOf<Deferred<T>> : ShapeOf<T> {};
template <class... Ts>
struct ShapeOf<Either<Ts...>> {
    static Shape make() { return {.form = Shape::Form::either, .alternatives = {&shape_of<Ts>()...}}; }
};

template <class T>
const Shape& shape_of()
{
    static const Shape shape = ShapeOf<T>::make();
    return shape;
}

std::string number_text(double value);

// The rows that differ from their defaults: `{address: redis:6379, tls: {insecure: true}}`.
std::string text_of_rows(std::span<const Row> rows, const void* object);

// A value as it may stand in a configuration; empty when there is nothing to show. A secret is not shown, and
// neither are the values of headers and environment variables, which often are secrets, too.
template <class T>
std::string text_of(const T& value)
{
    if constexpr (std::same_as<T, bool>)
        return value ? "true" : "false";
    else if constexpr (std::integral<T>)
        return std::to_string(value);
    else if constexpr (std::floating_point<T>)
        return number_text(value);
    else if constexpr (std::same_as<T, std::string>)
        return without_credentials(value);
    else if constexpr (std::same_as<T, Secret>)
        return value.empty() ? "" : value.text();
    else if constexpr (TextValue<T>)
        return without_credentials(value.text());
    else if constexpr (NamedEnum<T>)
        return std::string{name_of(value)};
    else if constexpr (is_a<T, std::optional>)
        return value ? text_of(*value) : "";
    else if constexpr (is_a<T, std::vector>) {
        std::string text;
        for (const auto& each : value)
            text += (text.empty() ? "" : ", ") + text_of(each);
        return value.empty() ? "" : "[" + text + "]";
    } else if constexpr (is_a<T, std::map>) {
        std::string text;
        for (const auto& [name, each] : value)
            text += (text.empty() ? "" : ", ") + name + ": " +
                    (Described<typename T::mapped_type> ? text_of(each) : "...");
        return value.empty() ? "" : "{" + text + "}";
    } else if constexpr (Described<T>)
        return text_of_rows(rows_of<T>(), &value);
    else
        return {};
}

}  // namespace keepwell
