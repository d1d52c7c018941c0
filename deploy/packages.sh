# shellcheck shell=bash
# Sourced by deploy/quickstart and tests/run: installs what deploy/packages lists.
#
#   install_packages GROUP...    installs what is missing of these groups, or says what to do and returns 1
#
# It is quick when nothing is missing. Servers that Debian would start on installation are not started: each of ours
# runs on its own. KEEPWELL_PACKAGES=skip installs nothing, for whoever has brought the libraries another way.

packages_file=$(dirname "${BASH_SOURCE[0]}")/packages
policy_file=/usr/sbin/policy-rc.d

# The release of Debian, "12" or "13"; nothing on other systems.
debian_release() (
    ID='' VERSION_ID=''
    # shellcheck disable=SC1091
    [ -r /etc/os-release ] && . /etc/os-release
    if [ "$ID" = debian ] && [[ $VERSION_ID == 12 || $VERSION_ID == 13 ]]; then
        echo "$VERSION_ID"
    fi
)

# packages_of RELEASE GROUP...: as they stand there, one per line.
packages_of() {
    local release=$1
    shift
    awk -v release="$release" -v groups=" $* " '
        !/^#/ && NF && index(groups, " " $1 " ") && ($2 == "all" || $2 == release) {
            for (i = 3; i <= NF; ++i) if (!seen[$i]++) print $i
        }' "$packages_file"
}

missing_packages() {
    local name program
    packages_of "$@" | while IFS=: read -r name program; do
        [ -n "$program" ] && command -v "$program" >/dev/null && continue
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

install_packages() {
    [ "${KEEPWELL_PACKAGES:-}" = skip ] && return 0
    local release missing
    release=$(debian_release)
    if [ -z "$release" ]; then
        {
            echo "This is not Debian 12 or 13. Install what corresponds to these packages of Debian 13, then"
            echo "start again with KEEPWELL_PACKAGES=skip:"
            packages_of 13 "$@" | sed 's/:.*//' | fmt -w 100
        } >&2
        return 1
    fi
    read -r -d '' -a missing <<<"$(missing_packages "$release" "$@")" || true  # there is no delimiter to find
    [ ${#missing[@]} -eq 0 ] && return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "These packages are missing; install them as root:" >&2
            echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    "${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive bash -c "$install_script" install "$policy_file" "${missing[@]}"
}

# Run as root, in a shell of its own so that the policy is removed whatever happens. Waits for another apt to end.
# shellcheck disable=SC2016
install_script='
    set -u
    policy=$1; shift
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        trap "rm -f $policy $log" EXIT
        trap "exit 130" INT TERM
        printf "#!/bin/sh\nexit 101\n" >"$policy"
        chmod 755 "$policy"
    else
        trap "rm -f $log" EXIT
    fi
    apt() { apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any "$@" </dev/null >>"$log" 2>&1; }
    if ! { apt update && apt install -y --no-install-recommends "$@"; }; then
        tail -n 30 "$log" >&2
        echo "apt-get could not install them; its last words are above" >&2
        exit 1
    fi'
