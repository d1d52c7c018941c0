#include "probes/pin.hpp"

namespace keepwell {

namespace {

template <class Spec>
concept HasAddress = requires(Spec spec) { spec.address.pinned; };
template <class Spec>
concept HasUrl = requires(Spec spec) {
    spec.url.address();
    spec.connect_to;
};

}  // namespace

std::optional<std::string> name_to_resolve(const ProbeSpec& spec)
{
    return std::visit(
        []<class Spec>(const Spec& each) -> std::optional<std::string> {
            std::string host;
            if constexpr (HasAddress<Spec>)
                host = each.address.host;
            else if constexpr (HasUrl<Spec>)
                host = each.unix_socket.empty() && each.connect_to.empty() ? each.url.address().host
                                                                           : std::string{};
            if (host.empty() || is_numeric_address(host))
                return {};
            return host;
        },
        spec);
}

ProbeSpec pinned(const ProbeSpec& spec, const std::string& address)
{
    return std::visit(
        [&]<class Spec>(Spec each) -> ProbeSpec {
            if constexpr (HasAddress<Spec>)
                each.address.pinned = address;
            else if constexpr (HasUrl<Spec>)
                each.connect_to = address;
            return each;
        },
        spec);
}

}  // namespace keepwell
