#!/bin/bash
# Makes the database of MYSQL_ROOT_PASSWORD, _DATABASE, _USER and _PASSWORD when there is none, runs what is in
# /docker-entrypoint-initdb.d, and becomes the server. Each variable may be a file: MYSQL_ROOT_PASSWORD_FILE.
set -eu -o pipefail
data=/var/lib/mysql

# from_file NAME: the variable NAME, or the content of the file that NAME_FILE names.
from_file() {
    local file=${1}_FILE
    if [ -n "${!file:-}" ]; then
        export "$1=$(<"${!file}")"
    else
        export "$1=${!1:-}"
    fi
    unset "$file"
}

quoted() { printf "'%s'" "${1//\'/\'\'}"; }

statements() {
    local root
    root=$(quoted "$MYSQL_ROOT_PASSWORD")
    if [ "${MYSQL_ROOT_HOST:-%}" != localhost ]; then
        echo "CREATE USER 'root'@$(quoted "${MYSQL_ROOT_HOST:-%}") IDENTIFIED BY $root;"
        echo "GRANT ALL ON *.* TO 'root'@$(quoted "${MYSQL_ROOT_HOST:-%}") WITH GRANT OPTION;"
    fi
    [ -z "$MYSQL_DATABASE" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
    if [ -n "$MYSQL_USER" ] && [ -n "$MYSQL_PASSWORD" ]; then
        echo "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "$MYSQL_PASSWORD");"
        [ -z "$MYSQL_DATABASE" ] || echo "GRANT ALL ON \`$MYSQL_DATABASE\`.* TO $(quoted "$MYSQL_USER")@'%';"
    fi
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $root;"
}

run_scripts() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) as_root <"$file" ;;
            *.sql.gz) gunzip -c "$file" | as_root ;;
        esac
    done
}

as_root() { MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql -uroot ${MYSQL_DATABASE:+"$MYSQL_DATABASE"}; }

make_database() {
    if [ -z "$MYSQL_ROOT_PASSWORD" ] && [ -z "${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
        echo "The database has no password: MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD must be set." >&2
        exit 1
    fi
    mysqld --initialize-insecure
    # Without the network until all is there; over its socket it answers already, as the official one does.
    mysqld --daemonize --skip-networking --mysqlx=OFF
    statements | mysql -uroot
    run_scripts
    MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysqladmin -uroot shutdown
    while [ -e /var/run/mysqld/mysqld.pid ]; do sleep 0.1; done
}

[ "${1:0:1}" != - ] || set -- mysqld "$@"
if [ "$1" = mysqld ]; then
    if [ "$(id -u)" = 0 ]; then
        chown -R mysql:mysql "$data" /var/run/mysqld
        exec setpriv --reuid mysql --regid mysql --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    if [ ! -d "$data/mysql" ]; then
        for name in MYSQL_ROOT_PASSWORD MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD; do from_file $name; done
        make_database
    fi
fi
exec "$@"
