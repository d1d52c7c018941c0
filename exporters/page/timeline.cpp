#include "exporters/page/view.hpp"

#include "daemon/timestamp.hpp"

namespace keepwell {

namespace {

std::string_view label_of(std::string_view kind)
{
    return kind == "state_changed"                               ? "state"
           : kind == "held"                                      ? "hold"
           : kind == "signal_raised" || kind == "signal_cleared" ? "signal"
           : kind == "doubt"                                     ? "doubt"
                                                                 : "action";
}

}  // namespace

void write_happening(Markup& html, const PageView& view, const Happening& happening)
{
    const auto text = rfc3339(view.wall(happening.at));
    html << R"(<li id="happening-)" << happening.number << R"(" class="is-)" << label_of(happening.kind)
         << R"("><time class="clock" datetime=")" << text << R"(" title=")" << text << R"(">)"
         << std::string_view{text}.substr(11, 8) << R"(</time> <span class="kind">)"
         << label_of(happening.kind) << R"(</span> <span class="what">)";
    if (const auto id = view.monitor.stack().find(happening.service))
        write_service_link(html, view, *id);
    else
        html << "<bdi>" << happening.service << "</bdi>";
    if (happening.instance != happening.service)
        html << " <bdi>" << happening.instance << "</bdi>";
    html << " <bdi>" << happening.text << "</bdi></span></li>";
}

}  // namespace keepwell
