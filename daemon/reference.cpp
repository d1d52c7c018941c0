#include "daemon/reference.hpp"

#include "daemon/config_keys.hpp"
#include "daemon/kinds.hpp"

#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::string_view introduction = R"(# The configuration, key by key

This page is made by `keepwelld reference` from the tables that keepwell reads its configuration with; a
test keeps it in step. For editors there is a JSON Schema, [keepwell.schema.json](keepwell.schema.json):
begin a file with `# yaml-language-server: $schema=...` and the path to it.

```yaml
# keepwell.yaml
project: shop
defaults: {interval: 10s, timeout: 3s, retries: 3}
services:
  redis:
    probes:
      - redis: {address: "${REDIS_HOST:-127.0.0.1}:6379", password_file: /run/secrets/redis}
    restart: {mode: act, command: [docker, restart, redis]}
  api:
    depends_on: [redis]
    instances: {one: 10.0.0.1, two: 10.0.0.2}
    probes:
      - http: http://{address}:8000/health
        interval: 5s
      - tcp: "{address}:9000"
        name: admin
        role: readiness
```

`keepwell check` tells every problem of a file at once, with line, column and what to do.

- **YAML**: one document in UTF-8, at most 10 MB. A key that is there twice is an error, and so is an
  unknown one, except at the top level one that begins with `x-`, which is yours, for instance for anchors.
  `<<: *anchor` merges.
- **Variables**: `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `${VAR:+other}` stand for variables of
  keepwell's environment in every value (not in keys), as in Compose. `$$` is a dollar sign; so is a `$`
  before anything but `{` or `$`. They are replaced after parsing: a variable can change a value, but not
  the structure.
- **Secrets**: each key of type *secret* has a sister whose name ends in `_file`; it names a file that is
  read when the configuration is loaded, without the newline at its end. Secrets are shown nowhere.
- **Files**: keys that end in `_file` must name readable files; a relative path begins at the directory of
  the configuration.
- **Durations**: `500ms`, `10s`, `1m30s`, `2h`, `7d`, `1w`. **Sizes**: `65536`, `64KiB`, `1MB`. **Regexes**:
  RE2.
- **Short forms**: a single value may stand for a list of one, and a value in place of a mapping stands for
  the mapping's first key where that takes one: `tcp: db:5432` is `tcp: {address: db:5432}`.
- **Placeholders** in probes and commands: `{service}`, `{instance}` (its name), `{address}` (its address),
  `{project}`. In YAML a value that begins with one needs quotes.
)";

std::string code(std::string_view text) { return text.empty() ? std::string{} : fmt::format("`{}`", text); }

// Markdown's tables end a cell at a bar.
std::string cell(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '|')
            out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

std::string joined(std::span<const std::string_view> words)
{
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i)
        text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + code(words[i]);
    return text;
}

std::string limits(const Shape& shape, const Bounds& bounds)
{
    const bool unbounded = bounds.least == Bounds{}.least && bounds.most == Bounds{}.most;
    return unbounded ? std::string{} : limits_in_words(bounds, shape.measure);
}

std::string type_in_words(const Shape& shape, const Bounds& bounds)
{
    using Form = Shape::Form;
    switch (shape.form) {
        case Form::boolean: return "`true` or `false`";
        case Form::integer:
        case Form::number:
        case Form::text:
            return std::string{shape.type_name} + limits(shape, bounds) +
                   (shape.comma_list ? ", or a list" : "");
        case Form::choice: return joined(shape.choices);
        case Form::list:
            return shape.element->is_scalar() ? "list of " + type_in_words(*shape.element, bounds) : "list";
        case Form::map:
            return shape.element->is_scalar() ? "mapping to " + type_in_words(*shape.element, bounds)
                                              : "mapping";
        case Form::table:
            return shape.switchable && !shape.needs_keys() ? "`true`, `false` or mapping" : "mapping";
        case Form::either: break;
    }
    std::string text;
    for (const auto* each : shape.alternatives)
        text += (text.empty() ? "" : " or ") + type_in_words(*each, bounds);
    return text;
}

// The table that a row leads to, if any: itself, its elements', or one of its alternatives'.
const Shape* table_below(const Shape& shape)
{
    if (shape.form == Shape::Form::table)
        return &shape;
    if (shape.element)
        return table_below(*shape.element);
    for (const auto* each : shape.alternatives)
        if (const auto* table = table_below(*each))
            return table;
    return nullptr;
}

// How the keys of the table below are reached: `tls.`, `items[].`, `depends_on.NAME.`.
std::string prefix_below(const Shape& shape, std::string_view key)
{
    using Form = Shape::Form;
    const bool maps = shape.form == Form::map || (shape.form == Form::either && table_below(shape));
    return fmt::format("{}{}.", key, shape.form == Form::list ? "[]" : maps ? ".NAME" : "");
}

// Tables that have a section of their own.
std::string_view section_of(const Shape& table)
{
    const auto is = [&](std::span<const Row> rows) { return table.rows.data() == rows.data(); };
    return is(rows_of<ServiceKeys>())       ? "services"
           : is(rows_of<ProbeKeys>())       ? "probes"
           : is(rows_of<RestartPolicy>())   ? "restart"
           : is(rows_of<WebhookSettings>()) ? "webhooks"
                                            : "";
}

void add_rows(std::string& page, std::span<const Row> rows, const std::string& prefix)
{
    for (const auto& row : rows) {
        const auto* table = table_below(*row.shape);
        const auto section = table ? section_of(*table) : std::string_view{};
        const auto value = row.need == Need::required ? "**required**"
                           : table                    ? std::string{}
                                                      : code(row.default_text);
        auto key = code(prefix + std::string{row.name});
        if (row.shape->secret)
            key += ", " + code(prefix + row.file_name);
        page += fmt::format("| {} | {} | {} | {}{} |\n", key, cell(type_in_words(*row.shape, row.bounds)),
                            cell(value), cell(row.help),
                            section.empty() ? "" : fmt::format("; see [{0}](#{0})", section));
        if (table && section.empty())
            add_rows(page, table->rows, prefix_below(*row.shape, prefix + std::string{row.name}));
    }
}

void add_table(std::string& page, std::span<const Row> rows)
{
    page += "\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    add_rows(page, rows, "");
}

void add_section(std::string& page, std::string_view title, std::string_view text, std::span<const Row> rows)
{
    page += fmt::format("\n## {}\n\n{}\n", title, text);
    add_table(page, rows);
}

void add_templates(std::string& page)
{
    page += R"(
## templates

Body and headers of a webhook are text with holes: `{{ name }}` or `{{ name | limit 200 | html }}`. Values are
escaped for where they stand: in JSON and in forms as the content type says, in headers on one line. Filters,
from left to right: `limit N` cuts to so many characters, `html` writes `&`, `<` and `>` as entities; `json`,
`url` or `raw` as the last one says how to escape instead.

| name | what it stands for |
| --- | --- |
)";
    for (const auto& each : message_names)
        page += fmt::format("| {} | {} |\n", code(each.name), cell(each.help));
}

}  // namespace

std::string reference_page()
{
    std::string page{introduction};
    add_section(page, "The file", "The keys at the top.", rows_of<FileKeys>());
    add_section(page, "services",
                "What stands under a service's name. Names may hold letters, digits, `_`, `-` and `.`. The "
                "timing is the "
                "default of its probes.",
                rows_of<ServiceKeys>());
    add_section(
        page, "probes",
        fmt::format("Each entry of `probes` has exactly one key that is a kind, {}, and may have these:",
                    joined(kind_names())),
        rows_of<ProbeKeys>());
    page += "\nThe kinds and their own keys:\n";
    for (const auto& kind : kinds()) {
        page += fmt::format("\n### {}\n\n`{}`: {}.", kind.name, kind.name, kind.summary);
        if (const auto* bare = kind.shape->bare())
            page += fmt::format(" `{}: VALUE` is short for `{}: {{{}: VALUE}}`.", kind.name, kind.name,
                                bare->name);
        page += '\n';
        add_table(page, kind.shape->rows);
    }
    add_section(page, "restart", "When an instance's restart is asked for, and how it is done.",
                shape_of<RestartPolicy>().rows);
    add_section(page, "webhooks", "Each entry of `webhooks`.", shape_of<WebhookSettings>().rows);
    add_templates(page);
    return page;
}

}  // namespace keepwell
