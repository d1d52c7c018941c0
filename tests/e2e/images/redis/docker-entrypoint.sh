#!/bin/sh
# redis-server in front of mere options or a configuration, as user redis, and open to the network: the official image is
# compiled without the protected mode that refuses other hosts.
set -eu
case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
    shift
    case ${1:-} in
        *.conf)
            configuration=$1
            shift
            grep -q '^ *protected-mode' "$configuration" || set -- --protected-mode no "$@"
            set -- "$configuration" "$@"
            ;;
        *) set -- --protected-mode no "$@" ;;
    esac
    set -- redis-server "$@"
    umask 0077
    if [ "$(id -u)" = 0 ]; then
        chown -R redis:redis .
        exec setpriv --reuid redis --regid redis --init-groups "$@"
    fi
fi
exec "$@"
