#include "daemon/schema.hpp"

#include "daemon/config_keys.hpp"
#include "daemon/kinds.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

// A JSON value that keeps the order of its members.
struct Json {
    char open = 0;      // `{`, `[`, or neither: a literal
    std::string key{};  // of a member of an object
    std::string literal{};
    std::vector<Json> members{};

    Json& add(std::string_view name, Json value)
    {
        value.key = name;
        members.push_back(std::move(value));
        return *this;
    }
    Json& add(Json value)
    {
        members.push_back(std::move(value));
        return *this;
    }
};

Json literal(std::string text) { return {.literal = std::move(text)}; }
Json object() { return {.open = '{'}; }
Json array() { return {.open = '['}; }

Json text(std::string_view words)
{
    std::string out = "\"";
    for (const char c : words) {
        if (c == '"' || c == '\\')
            out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return literal(out + '"');
}

Json typed(std::string_view type)
{
    auto schema = object();
    schema.add("type", text(type));
    return schema;
}

Json any_of(std::vector<Json> schemas)
{
    if (schemas.size() == 1)
        return std::move(schemas.front());
    auto all = array();
    all.members = std::move(schemas);
    auto schema = object();
    schema.add("anyOf", std::move(all));
    return schema;
}

Json reference_to(std::string_view definition)
{
    auto schema = object();
    schema.add("$ref", text(fmt::format("#/definitions/{}", definition)));
    return schema;
}

// On one line where it fits, else one member a line.
std::string write(const Json& json, std::size_t indent, bool on_one_line)
{
    constexpr std::size_t widest = 110;
    const auto head = json.key.empty() ? std::string{} : text(json.key).literal + ": ";
    if (json.open == 0)
        return head + json.literal;
    const char close = json.open == '{' ? '}' : ']';
    std::string flat;
    for (const auto& member : json.members)
        flat += (flat.empty() ? "" : ", ") + write(member, 0, true);
    if (on_one_line || indent + head.size() + flat.size() + 3 <= widest)
        return head + json.open + flat + close;
    std::string out = head + json.open;
    for (const auto& member : json.members)
        out += (&member == &json.members.front() ? "\n" : ",\n") + std::string(indent + 2, ' ') +
               write(member, indent + 2, false);
    return out + '\n' + std::string(indent, ' ') + close;
}

Json schema_of(const Shape& shape, const Bounds& bounds);

// Any scalar reads as text: `password: 0123` is the text 0123.
Json any_scalar()
{
    auto types = array();
    for (const auto* type : {"string", "number", "boolean"})
        types.add(text(type));
    auto schema = object();
    schema.add("type", std::move(types));
    return schema;
}

Json number_schema(std::string_view type, const Bounds& bounds)
{
    auto schema = typed(type);
    if (bounds.least != Bounds{}.least)
        schema.add("minimum", literal(std::to_string(bounds.least)));
    if (bounds.most != Bounds{}.most)
        schema.add("maximum", literal(std::to_string(bounds.most)));
    return any_of({std::move(schema), reference_to("variable")});
}

Json text_schema(const Shape& shape)
{
    if (shape.measure == Shape::Measure::nanoseconds)
        return reference_to("duration");
    if (shape.measure == Shape::Measure::bytes)
        return reference_to("size");
    if (!shape.comma_list)
        return any_scalar();
    auto list = typed("array");
    list.add("items", any_scalar());
    return any_of({any_scalar(), std::move(list)});
}

Json choice_schema(const Shape& shape)
{
    auto names = array();
    for (const auto name : shape.choices)
        names.add(text(name));
    auto schema = object();
    schema.add("enum", std::move(names));
    return any_of({std::move(schema), reference_to("variable")});
}

Json list_schema(const Shape& shape, const Bounds& bounds)
{
    auto item = schema_of(*shape.element, bounds);
    auto list = typed("array");
    list.add("items", item);
    if (!shape.element->is_scalar())
        return list;
    item.key.clear();
    return any_of({std::move(list), std::move(item)});
}

// The properties of a table's rows, each with its meaning.
Json properties_of(std::span<const Row> rows)
{
    auto properties = object();
    for (const auto& row : rows) {
        auto schema = schema_of(*row.shape, row.bounds);
        if (schema.members.front().key == "$ref")  // draft-07 ignores what stands beside it
            schema = object().add("allOf", array().add(std::move(schema)));
        schema.add("description", text(row.help));
        if (row.shape->secret) {
            auto file = typed("string");
            file.add("description", text(fmt::format("file that holds the {}", row.name)));
            properties.add(row.file_name, std::move(file));
        }
        properties.add(row.name, std::move(schema));
    }
    return properties;
}

// One of the key and its sister that names a file.
void add_required(Json& table, std::span<const Row> rows)
{
    auto plain = array();
    auto either = array();
    for (const auto& row : rows) {
        if (row.need != Need::required)
            continue;
        if (!row.shape->secret) {
            plain.add(text(row.name));
            continue;
        }
        auto choices = array();
        for (const auto& name : {std::string{row.name}, row.file_name}) {
            auto needed = object();
            needed.add("required", array().add(text(name)));
            choices.add(std::move(needed));
        }
        auto choice = object();
        choice.add("anyOf", std::move(choices));
        either.add(std::move(choice));
    }
    if (!plain.members.empty())
        table.add("required", std::move(plain));
    if (!either.members.empty())
        table.add("allOf", std::move(either));
}

// A probe has exactly one key that is a kind.
void add_kinds(Json& table, Json& properties)
{
    auto one = array();
    for (const auto& kind : kinds()) {
        properties.add(kind.name, reference_to(kind.name));
        auto needed = object();
        needed.add("required", array().add(text(kind.name)));
        one.add(std::move(needed));
    }
    table.add("oneOf", std::move(one));
}

Json table_schema(const Shape& shape, bool is_file = false)
{
    auto table = typed("object");
    auto properties = properties_of(shape.rows);
    if (shape.probe)
        add_kinds(table, properties);
    table.add("properties", std::move(properties));
    add_required(table, shape.rows);
    if (is_file)
        table.add("patternProperties", object().add("^x-", literal("true")));
    table.add("additionalProperties", literal("false"));
    std::vector<Json> forms{std::move(table)};
    if (shape.switchable)
        forms.push_back(shape.needs_keys() ? object().add("const", literal("false")) : typed("boolean"));
    if (const auto* bare = shape.bare(); bare && !is_file)
        forms.push_back(schema_of(*bare->shape, bare->bounds));
    return any_of(std::move(forms));
}

Json map_schema(const Shape& shape, const Bounds& bounds)
{
    auto value = schema_of(*shape.element, bounds);
    if (shape.element->form == Shape::Form::text ||
        (shape.element->form == Shape::Form::table && !shape.element->needs_keys()))
        value = any_of({std::move(value), typed("null")});
    auto map = typed("object");
    map.add("additionalProperties", std::move(value));
    return map;
}

// The definition that a table has, when it is used more than once or worth a name.
std::string_view definition_of(const Shape& shape)
{
    if (shape.rows.data() == rows_of<ProbeKeys>().data())
        return "probe";
    if (shape.rows.data() == rows_of<ServiceKeys>().data())
        return "service";
    return shape.rows.data() == rows_of<RestartPolicy>().data() ? "restart" : "";
}

Json schema_of(const Shape& shape, const Bounds& bounds)
{
    using Form = Shape::Form;
    switch (shape.form) {
        case Form::boolean: return any_of({typed("boolean"), reference_to("variable")});
        case Form::integer: return number_schema("integer", bounds);
        case Form::number: return number_schema("number", bounds);
        case Form::text: return text_schema(shape);
        case Form::choice: return choice_schema(shape);
        case Form::list: return list_schema(shape, bounds);
        case Form::map: return map_schema(shape, bounds);
        case Form::table: {
            const auto name = definition_of(shape);
            return name.empty() ? table_schema(shape) : reference_to(name);
        }
        case Form::either: break;
    }
    std::vector<Json> forms;
    forms.reserve(shape.alternatives.size());
    for (const auto* each : shape.alternatives)
        forms.push_back(schema_of(*each, bounds));
    return any_of(std::move(forms));
}

Json pattern(std::string_view regex)
{
    auto schema = typed("string");
    schema.add("pattern", text(regex));
    return schema;
}

Json definitions()
{
    auto all = object();
    all.add("variable", pattern("\\$\\{"));
    auto zero = object();
    zero.add("const", literal("0"));
    all.add("duration", any_of({pattern("^([0-9.]+(w|d|h|m|s|ms|us|ns))+$|^0$|\\$\\{"), std::move(zero)}));
    auto bytes = typed("integer");
    bytes.add("minimum", literal("0"));
    all.add("size", any_of({pattern("^[0-9]+([KMG]i?B|kB|B)?$|\\$\\{"), std::move(bytes)}));
    all.add("service", table_schema(shape_of<ServiceKeys>()));
    all.add("probe", table_schema(shape_of<ProbeKeys>()));
    all.add("restart", table_schema(shape_of<RestartPolicy>()));
    for (const auto& kind : kinds()) {
        auto schema = table_schema(*kind.shape);
        schema.add("description", text(fmt::format("a probe that {}", kind.summary)));
        all.add(kind.name, std::move(schema));
    }
    return all;
}

}  // namespace

std::string json_schema()
{
    auto schema = object();
    schema.add("$schema", text("http://json-schema.org/draft-07/schema#"));
    schema.add("title", text("keepwell configuration"));
    auto file = table_schema(shape_of<FileKeys>(), true);
    for (auto& member : file.members)
        schema.members.push_back(std::move(member));
    schema.add("definitions", definitions());
    return write(schema, 0, false) + '\n';
}

}  // namespace keepwell
