#include "exporters/page/graph.hpp"

#include "exporters/page/view.hpp"
#include "probes/utf8.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace keepwell {

namespace {

constexpr std::size_t most_services = 120;  // with more, only those that matter now are drawn
constexpr std::size_t column_width = 190, row_height = 38, node_width = 140, node_height = 28;
constexpr std::size_t longest_name = 15;  // characters
constexpr std::size_t fewest_folded = 4;
constexpr int sweeps = 4;

// Works out the places: each service as close to what it needs as can be.
class Layout {
public:
    Layout(const Stack& stack, const std::vector<bool>& shown) : stack_{stack}, shown_{shown}
    {
        depth_.resize(stack.services().size());
        row_.resize(stack.services().size());
        for (ServiceId id = 0; id < depth_.size(); ++id)
            if (connected(id))
                columns_.resize(std::max(columns_.size(), depth_of(id) + 1));
        for (ServiceId id = 0; id < depth_.size(); ++id)
            if (connected(id)) {
                auto& column = columns_[columns_.size() - 1 - depth_of(id)];
                row_[id] = static_cast<double>(column.size());
                column.push_back(id);
            }
        for (int sweep = 0; sweep < sweeps; ++sweep)
            for (std::size_t i = 0; i < columns_.size(); ++i)
                sort(columns_[sweep % 2 == 0 ? columns_.size() - 1 - i : i]);
    }

    std::vector<GraphPlace> places() const
    {
        std::vector<GraphPlace> places;
        for (std::size_t column = 0; column < columns_.size(); ++column)
            for (std::size_t row = 0; row < columns_[column].size(); ++row)
                places.push_back({columns_[column][row], column, row});
        return places;
    }

private:
    bool connected(ServiceId id) const
    {
        const auto& row = stack_.services()[id];
        const auto is_shown = [this](ServiceId each) { return shown_[each]; };
        return shown_[id] &&
               (std::ranges::any_of(row.needs, is_shown) || std::ranges::any_of(row.dependants, is_shown));
    }

    // Of the longest way down from it. Edges have no circles.
    std::size_t depth_of(ServiceId id)
    {
        if (depth_[id])
            return *depth_[id];
        std::size_t depth = 0;
        for (const auto need : stack_.services()[id].needs)
            if (shown_[need])
                depth = std::max(depth, depth_of(need) + 1);
        depth_[id] = depth;
        return depth;
    }

    // By the mean row of the neighbours on both sides.
    void sort(std::vector<ServiceId>& column)
    {
        const auto wish = [this](ServiceId id) {
            double sum = 0;
            int count = 0;
            for (const auto* side : {&stack_.services()[id].needs, &stack_.services()[id].dependants})
                for (const auto each : *side)
                    if (shown_[each]) {
                        sum += row_[each];
                        ++count;
                    }
            return count ? sum / count : row_[id];
        };
        std::vector<std::tuple<double, double, ServiceId>> order;
        order.reserve(column.size());
        for (const auto id : column)
            order.emplace_back(wish(id), row_[id], id);
        std::ranges::sort(order);
        for (std::size_t i = 0; i < order.size(); ++i) {
            column[i] = std::get<2>(order[i]);
            row_[column[i]] = static_cast<double>(i);
        }
    }

    const Stack& stack_;
    const std::vector<bool>& shown_;
    std::vector<std::optional<std::size_t>> depth_{};
    std::vector<double> row_{};
    std::vector<std::vector<ServiceId>> columns_{};
};

// All of a small stack; of a large one what is not healthy, and what that depends on.
std::vector<bool> shown_services(const Monitor& monitor)
{
    const auto services = monitor.stack().services();
    std::vector<bool> shown(services.size(), services.size() <= most_services);
    if (services.size() <= most_services)
        return shown;
    std::size_t count = 0;
    for (ServiceId id = 0; id < services.size() && count < most_services; ++id)
        if (rank_of(monitor, id).group == "trouble") {
            shown[id] = true;
            ++count;
            for (const auto need : services[id].needs)
                shown[need] = true;
        }
    return shown;
}

// Services that stand at the front, need the same and are in the same state look all the same: where there
// are many, the first is drawn for all. How many others it stands for.
std::vector<std::size_t> fold_alike(const Monitor& monitor, std::vector<bool>& shown)
{
    const auto services = monitor.stack().services();
    std::vector<std::size_t> folded(services.size());
    std::map<std::pair<State, std::vector<ServiceId>>, std::vector<ServiceId>> groups;
    for (ServiceId id = 0; id < services.size(); ++id)
        if (shown[id] && services[id].dependants.empty() && !services[id].needs.empty())
            groups[{monitor.service(id).state, services[id].needs}].push_back(id);
    for (const auto& [what, ids] : groups)
        if (ids.size() >= fewest_folded) {
            folded[ids.front()] = ids.size() - 1;
            for (std::size_t i = 1; i < ids.size(); ++i)
                shown[ids[i]] = false;
        }
    return folded;
}

std::string shortened(std::string_view name, std::size_t most)
{
    std::size_t end = 0;
    for (std::size_t count = 0; end < name.size(); ++count) {
        if (count == most)
            return std::string{name.substr(0, end)} + "…";
        end += std::max<std::size_t>(utf8_length(name.substr(end)), 1);
    }
    return std::string{name};
}

struct Point {
    std::size_t x = 0, y = 0;
};

void write_edge(Markup& html, Point from, Point to, bool to_blame)
{
    const auto middle = (from.x + to.x) / 2;
    html << (to_blame ? Literal{R"(<path class="edge blamed" d="M)"} : Literal{R"(<path class="edge" d="M)"})
         << from.x << " " << from.y << "C" << middle << " " << from.y << " " << middle << " " << to.y << " "
         << to.x << " " << to.y << R"("/>)";
}

void write_node(Markup& html, const Monitor& monitor, ServiceId id, std::size_t others, Point at)
{
    auto name = monitor.stack().services()[id].spec->name;
    const auto label = shortened(name, others ? longest_name - 4 : longest_name);
    const auto more = others ? " +" + std::to_string(others) : std::string{};
    name += others ? " and " + std::to_string(others) + " alike" : "";
    const auto state = name_of(monitor.service(id).state);
    const bool root = is_root_cause(monitor, id);
    html << R"(<a href="#service-)" << id << R"(" class="node )" << state
         << (root ? Literal{" root"} : Literal{""}) << R"(" aria-label=")" << name << ": " << state
         << (root ? Literal{", root cause"} : Literal{""}) << R"("><title>)" << name << ": " << state
         << R"(</title><rect x=")" << at.x << R"(" y=")" << at.y << R"(" width=")" << node_width
         << R"(" height=")" << node_height << R"(" rx="6"/><use href="#icon-)" << state << R"(" x=")"
         << at.x + 7 << R"(" y=")" << at.y + 7 << R"(" width="14" height="14"/><text x=")" << at.x + 27
         << R"(" y=")" << at.y + 18 << R"(">)" << label << more << "</text></a>";
}

}  // namespace

std::vector<GraphPlace> graph_places(const Stack& stack, const std::vector<bool>& shown)
{
    return Layout{stack, shown}.places();
}

void write_graph(Markup& html, const PageView& view)
{
    const auto& monitor = view.monitor;
    const auto services = monitor.stack().services();
    auto shown = shown_services(monitor);
    const auto folded = fold_alike(monitor, shown);
    const auto places = graph_places(monitor.stack(), shown);
    html << R"(<div id="graph">)";
    std::vector<std::size_t> heights;
    for (const auto& place : places) {
        heights.resize(std::max(heights.size(), place.column + 1));
        heights[place.column] = std::max(heights[place.column], place.row + 1);
    }
    const auto tallest = places.empty() ? 0 : std::ranges::max(heights);
    std::vector<std::optional<Point>> points(services.size());
    for (const auto& place : places)
        points[place.service] =
            Point{8 + place.column * column_width,
                  8 + place.row * row_height + (tallest - heights[place.column]) * row_height / 2};
    if (services.size() > most_services)
        html << R"(<p class="muted">Of )" << services.size()
             << " services, those in trouble are drawn, and what they depend on.</p>";
    if (places.empty()) {
        html << R"(<p class="muted">No service shown here depends on another one.</p></div>)";
        return;
    }
    const auto width = 16 + (heights.size() - 1) * column_width + node_width;
    const auto height = 16 + (tallest - 1) * row_height + node_height;
    html << R"(<svg class="graph" viewBox="0 0 )" << width << " " << height << R"(" width=")" << width
         << R"(" height=")" << height << R"(" role="group" aria-label="Who depends on whom">)";
    for (const auto& place : places)
        for (const auto need : services[place.service].needs)
            if (points[need])
                write_edge(
                    html, {points[place.service]->x + node_width, points[place.service]->y + node_height / 2},
                    {points[need]->x, points[need]->y + node_height / 2},
                    monitor.service(place.service).state == State::unhealthy &&
                        monitor.service(need).state == State::unhealthy);
    for (const auto& place : places)
        write_node(html, monitor, place.service, folded[place.service], *points[place.service]);
    html << "</svg></div>";
}

}  // namespace keepwell
