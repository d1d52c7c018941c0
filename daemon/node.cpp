#include "daemon/node.hpp"

#include <algorithm>

namespace keepwell {

namespace {

class Expander {
public:
    Expander(std::vector<Problem>& problems, const Variables& variables, std::size_t limit)
        : problems_{problems}, variables_{variables}, left_{limit}
    {
    }

    void expand(Node& node)
    {
        if (node.is_scalar() && node.text.contains('$'))
            expand_one(node);
        for (std::size_t i = 0; i < node.children.size() && !full_; ++i) {
            node.is_mapping() ? path_.enter(node.children[i].key) : path_.enter(i);
            expand(node.children[i]);
            path_.leave();
        }
    }

private:
    void expand_one(Node& node)
    {
        const auto value = keepwell::expand(node.text, variables_);
        if (!value)
            return complain(node, value.error());
        if (value->size() > left_) {
            full_ = true;
            return complain(node, "variables make this text too large");
        }
        left_ -= value->size();
        node.from_variable = node.text.contains("${") && *value != node.text;
        node.text = *value;
    }
    void complain(Node& node, std::string text)
    {
        node.broken = true;
        problems_.push_back({.mark = node.mark, .path = path_.text(), .text = std::move(text)});
        full_ = full_ || problems_.size() >= most_problems;
    }

    std::vector<Problem>& problems_;
    const Variables& variables_;
    std::size_t left_;
    bool full_ = false;
    Path path_{};
};

}  // namespace

void lay_over(Node& under, const Node& over)
{
    if (!under.is_mapping() || !over.is_mapping()) {
        auto key = std::move(under.key);
        under = over;
        under.key = std::move(key);
        return;
    }
    for (const auto& child : over.children) {
        const auto same = std::ranges::find(under.children, child.key, &Node::key);
        if (same == under.children.end()) {
            under.children.push_back(child);
            continue;
        }
        lay_over(*same, child);
        same->key_mark = child.key_mark;
    }
    under.mark = over.mark;
    under.key_mark = over.key_mark;
}

Node& place_for(Node& root, std::string_view path)
{
    auto* place = &root;
    while (!path.empty()) {
        const auto key = path.substr(0, path.find('.'));
        path.remove_prefix(std::min(key.size() + 1, path.size()));
        auto child = std::ranges::find(place->children, key, &Node::key);
        if (child == place->children.end())
            child = place->children.insert(child, Node{.key = std::string{key}});
        place->kind = Node::Kind::mapping;
        place = &*child;
    }
    return *place;
}

const Node* Node::find(std::string_view name) const
{
    const auto child = std::ranges::find(children, name, &Node::key);
    return is_mapping() && child != children.end() ? &*child : nullptr;
}

std::string found(const Node& node)
{
    switch (node.kind) {
        case Node::Kind::null: return "nothing";
        case Node::Kind::sequence: return "a list";
        case Node::Kind::mapping: return "a mapping";
        case Node::Kind::scalar: break;
    }
    return node.from_variable ? "the value of a variable" : shown(node.text);
}

void expand_all(Node& root, const Variables& variables, std::size_t limit, std::vector<Problem>& problems)
{
    Expander{problems, variables, limit}.expand(root);
}

}  // namespace keepwell
