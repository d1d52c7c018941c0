#include "tests/catch.hpp"

#include "daemon/config.hpp"
#include "daemon/reference.hpp"
#include "daemon/schema.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace keepwell;

namespace {

const std::filesystem::path source{KEEPWELL_SOURCE_DIR};

std::string contents(const std::filesystem::path& path)
{
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// Compares a generated page with the one in the tree; KEEPWELL_REGENERATE=1 in the environment writes it
// anew.
void check_in_step(const std::filesystem::path& path, const std::string& generated)
{
    if (std::getenv("KEEPWELL_REGENERATE"))
        std::ofstream{path} << generated;
    INFO("to write it anew: KEEPWELL_REGENERATE=1 daemon_test '[generated]'");
    CHECK((contents(path) == generated));
}

struct Example {
    std::string where{};
    std::string text{};
};

// The blocks of a Markdown page that begin with `# keepwell.yaml`; the lines before each keep their number.
void add_blocks(const std::filesystem::path& path, std::vector<Example>& examples)
{
    std::ifstream page{path};
    std::string line, text;
    bool in_block = false, first = false;
    for (int number = 1; std::getline(page, line); ++number) {
        if (in_block && line.starts_with("```")) {
            in_block = false;
            if (text.find("# keepwell.yaml") != text.npos)
                examples.push_back({path.string(), text});
        } else if (in_block) {
            if (first && !line.starts_with("# keepwell.yaml"))
                in_block = false;
            first = false;
            text += line + '\n';
        } else if (line == "```yaml") {
            in_block = first = true;
            text = std::string(static_cast<std::size_t>(number), '\n');
        }
    }
}

std::vector<Example> examples()
{
    std::vector<Example> found;
    add_blocks(source / "README.md", found);
    for (const auto* room : {"docs", "deploy"}) {
        if (!std::filesystem::exists(source / room))
            continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{source / room}) {
            const auto name = entry.path().filename().string();
            if (name.ends_with(".md"))
                add_blocks(entry.path(), found);
            else if (name == "keepwell.yaml" || name == "quickstart.yaml")
                found.push_back({entry.path().string(), contents(entry.path())});
        }
    }
    return found;
}

}  // namespace

TEST_CASE("the reference page is in step with the field tables", "[generated]")
{
    check_in_step(source / "docs/reference.md", reference_page());
}

TEST_CASE("the JSON Schema is in step with the field tables", "[generated]")
{
    check_in_step(source / "docs/keepwell.schema.json", json_schema());
}

TEST_CASE("every configuration in the documentation is loaded without a problem")
{
    const auto all = examples();
    CHECK_FALSE(all.empty());
    for (const auto& [where, text] : all) {
        const auto load = [&, &content = text, &file = where](std::optional<std::string> value) {
            return parse_config(content, file, std::filesystem::path{file}.parent_path().string(),
                                [&](std::string_view) { return value; });
        };
        auto loaded = load({});  // with the defaults of its variables, where they all have one
        if (!loaded.ok())
            loaded = load("1");
        // The files that an example names are the reader's own.
        std::erase_if(loaded.problems,
                      [](const Problem& each) { return each.text.starts_with("cannot read"); });
        CHECK(render(loaded.problems) == "");
    }
}

TEST_CASE("the examples of a page are found at their lines")
{
    const std::filesystem::path page =
        std::filesystem::temp_directory_path() / ("keepwell-page-" + std::to_string(::getpid()));
    std::ofstream{page} << "# A page\n\n```yaml\n# keepwell.yaml\nmode: act\n```\n```yaml\nother: 1\n```\n";
    std::vector<Example> found;
    add_blocks(page, found);
    std::filesystem::remove(page);
    REQUIRE(found.size() == 1);
    CHECK(found[0].text == "\n\n\n# keepwell.yaml\nmode: act\n");
}
