#!/usr/bin/env bash
# Tries a backup: dumps the databases of a running `cargo dev`, restores them into an empty server, and compares every
# table by its number of rows and a checksum, and the schema by its objects. The running stack is only read.
#
#   scripts/restore-drill.sh [data folder] [folder for the dumps]      default: .local, and a folder that is removed
#
# The same commands restore a deployment (docs/BACKUP.md). Needs a running `cargo dev`, whose PostgreSQL 18 it uses.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=$(realpath "${1:-.local}")
programs=$(find .local/python/lib -path '*/pginstall18/bin' -type d 2>/dev/null | head -n 1)
postmaster=$data/postgres/postmaster.pid
# Not found here: the files of a stack that root started in a folder that other users cannot reach. They are in
# /var/lib/lisa-local.
[ -n "$programs" ] || { echo "PostgreSQL is not installed: start cargo dev once" >&2; exit 1; }
[ -r "$postmaster" ] || { echo "no PostgreSQL runs in $data: start cargo dev" >&2; exit 1; }
port=$(sed -n 4p "$postmaster")
PGPASSWORD=$(cat "$data/postgres-password")
export PGPASSWORD PGHOST=127.0.0.1 PGUSER=postgres PGCONNECT_TIMEOUT=10

work=$(mktemp -d)
dumps=${2:-$work/dumps}
mkdir -p "$dumps" "$work/target"
holder=
# PostgreSQL refuses to run as root.
as_server=()
if [ "$(id -u)" -eq 0 ]; then
    as_server=(setpriv --reuid nobody --regid nogroup --clear-groups --)
    chmod 711 "$work"
    chown nobody:nogroup "$work/target"
fi
clean_up() {
    [ -z "$holder" ] || kill "$holder" 2>/dev/null || true
    [ ! -e "$work/target/data/postmaster.pid" ] ||
        "${as_server[@]}" "$programs/pg_ctl" -D "$work/target/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT

source_sql() { "$programs/psql" -X -q -v ON_ERROR_STOP=1 -p "$port" -d "$1" -At; }
target_sql() { "$programs/psql" -X -q -v ON_ERROR_STOP=1 -h "$work/target" -d "$1" -At; }

# A statement for each table that counts its rows and hashes them in any order; then the objects of the schema. Grants
# to owners are left out: a dump does not repeat what an owner may do anyway.
readonly TABLES="
    select format('select %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from %I.%I t;',
        schemaname || '.' || tablename, schemaname, tablename)
    from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by schemaname, tablename"
readonly OBJECTS="
    select 'policies', count(*) from pg_policies
    union all select 'functions', count(*) from pg_proc where pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
    union all select 'triggers', count(*) from pg_trigger where not tgisinternal
    union all select 'constraints', count(*) from pg_constraint where connamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
    union all select 'indexes', count(*) from pg_indexes where schemaname not in ('pg_catalog', 'information_schema')
    union all select 'invalid indexes', count(*) from pg_index where not indisvalid
    union all select 'grants', count(*) from pg_class, aclexplode(relacl)
        where grantee <> relowner and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
    union all select 'column grants', count(*) from pg_attribute, aclexplode(attacl)
    union all select 'function grants', count(*) from pg_proc, aclexplode(proacl)
        where grantee <> proowner and pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
    order by 1;"

databases=()
for database in lisa lisa_billing; do
    [ -z "$(echo "select 1 from pg_database where datname = '$database'" | source_sql postgres)" ] || databases+=("$database")
done
[ ${#databases[@]} -gt 0 ] || { echo "the server has no database lisa" >&2; exit 1; }

started=$(date +%s)
echo "== dump"
"$programs/pg_dumpall" -p "$port" --roles-only --no-role-passwords >"$dumps/roles.sql"
for database in "${databases[@]}"; do
    # Dump and figures come from one snapshot, although the stack writes meanwhile. Its transaction is held open.
    coproc HOLDER { source_sql "$database"; }
    holder=$HOLDER_PID
    echo "begin isolation level repeatable read read only; select pg_export_snapshot();" >&"${HOLDER[1]}"
    read -r snapshot <&"${HOLDER[0]}"
    "$programs/pg_dump" -p "$port" -d "$database" --format=custom --snapshot="$snapshot" --file="$dumps/$database.dump"
    {
        printf "begin isolation level repeatable read read only;\nset transaction snapshot '%s';\n" "$snapshot"
        echo "$TABLES" | source_sql "$database"
        echo "$OBJECTS"
    } | source_sql "$database" >"$work/$database.source"
    printf '%s\n' 'rollback;' '\q' >&"${HOLDER[1]}"
    wait "$holder"
    holder=
    echo "$database: $(du -h "$dumps/$database.dump" | cut -f1), $(grep -c '\.' "$work/$database.source") tables"
done

echo "== restore into an empty server"
"${as_server[@]}" "$programs/initdb" -D "$work/target/data" --username=postgres --auth=trust --locale=C --encoding=UTF8 >/dev/null
"${as_server[@]}" "$programs/pg_ctl" -D "$work/target/data" -w -l "$work/target/log" \
    -o "-c listen_addresses= -c unix_socket_directories=$work/target -c fsync=off" start >/dev/null
# The new server has its superuser already.
grep -v -E '^(CREATE|ALTER) ROLE postgres' "$dumps/roles.sql" | target_sql postgres
for database in "${databases[@]}"; do
    echo "create database $database template template0" | target_sql postgres
    "$programs/pg_restore" -h "$work/target" -d "$database" --exit-on-error --jobs=2 "$dumps/$database.dump"
    {
        echo "$TABLES" | target_sql "$database"
        echo "$OBJECTS"
    } | target_sql "$database" >"$work/$database.target"
done

echo "== compare"
failed=0
for database in "${databases[@]}"; do
    if diff -u --label "$database, source" --label "$database, restored" "$work/$database.source" "$work/$database.target"; then
        awk -F'|' -v name="$database" 'NF == 3 { tables += 1; rows += $2 } NF == 2 { objects = objects ", " $2 " " $1 }
            END { printf "%s: %d rows in %d tables%s: equal\n", name, rows, tables, objects }' "$work/$database.target"
    else
        failed=1
    fi
done
# Row-level security must hold in the restored database too: without a tenant, nothing is seen.
seen=$(echo "set role lisa_tenant; select count(*) from public.documents;" | target_sql lisa)
[ "$seen" = 0 ] || { echo "lisa_tenant sees $seen documents without a tenant" >&2; failed=1; }
[ $failed -eq 0 ] || { echo "the restored databases differ" >&2; exit 1; }
echo "restored in $(($(date +%s) - started)) s"
