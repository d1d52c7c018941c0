#!/bin/bash
# Makes the database of POSTGRES_USER, _PASSWORD, _DB and _INITDB_ARGS when there is none, runs what is in
# /docker-entrypoint-initdb.d, and becomes the server. Each variable may be a file: POSTGRES_PASSWORD_FILE.
set -eu -o pipefail

# from_file NAME [DEFAULT]: the variable NAME, or the content of the file that NAME_FILE names.
from_file() {
    local file=${1}_FILE
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "$1 and $file are both set" >&2
        exit 1
    fi
    if [ -n "${!file:-}" ]; then
        export "$1=$(<"${!file}")"
    elif [ -z "${!1:-}" ]; then
        export "$1=${2:-}"
    fi
    unset "$file"
}

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) sql "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) gunzip -c "$file" | sql "$POSTGRES_DB" ;;
        esac
    done
}

sql() {
    local database=$1
    shift
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc --dbname "$database" "$@"
}

make_database() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        echo "The database has no superuser's password: POSTGRES_PASSWORD must not be empty." >&2
        exit 1
    fi
    # shellcheck disable=SC2086
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    # Without the network until all is there: nobody takes it for ready.
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
    [ "$POSTGRES_DB" = postgres ] || sql postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    run_scripts
    pg_ctl -D "$PGDATA" -m fast -w stop
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        install -d -m 700 "$PGDATA"
        chown -R postgres:postgres "$PGDATA"
        exec setpriv --reuid postgres --regid postgres --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        from_file POSTGRES_PASSWORD
        from_file POSTGRES_USER postgres
        from_file POSTGRES_DB "$POSTGRES_USER"
        from_file POSTGRES_INITDB_ARGS
        make_database
    fi
fi
exec "$@"
