#!/bin/sh
# Before nginx starts: /etc/nginx/templates/NAME.template becomes /etc/nginx/conf.d/NAME with the variables that are set in
# the environment, and the scripts of /docker-entrypoint.d are run.
set -eu
if [ "${1:-}" = nginx ] || [ "${1:-}" = nginx-debug ]; then
    for script in /docker-entrypoint.d/*.sh; do
        if [ -x "$script" ]; then "$script"; fi
    done
    # shellcheck disable=SC2016
    variables=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p')
    for template in /etc/nginx/templates/*.template; do
        [ -e "$template" ] || continue
        name=$(basename "$template" .template)
        envsubst "$variables" <"$template" >"/etc/nginx/conf.d/$name"
    done
fi
exec "$@"
