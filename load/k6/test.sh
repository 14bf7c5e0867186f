#!/bin/sh
# Runs the scripts against a server of its own: test.sh FOLDER, where FOLDER holds the programs tributary and
# tributary-load. A small world is made, imported and served from a temporary folder, on TRIBUTARY_LOAD_PORT (22800).
set -eu

programs=$1
scripts=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
port=${TRIBUTARY_LOAD_PORT:-22800}
folder=$(mktemp -d)
server=

finish() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$folder/tributary.toml" <<END
[http]
listen = "127.0.0.1:$port"

[store]
path = "data"

[limits]
requests_per_second = 0
posts_per_minute = 0
END
"$programs/tributary-load" world --users 2000 --seed 1 --mean-follows 50 --out "$folder/world" >/dev/null
"$programs/tributary-load" import --world "$folder/world" --config "$folder/tributary.toml"
"$programs/tributary" --config "$folder/tributary.toml" 2>"$folder/server.log" &
server=$!

tries=0
until python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/readyz', timeout=5)" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "the server does not answer on port $port:" >&2
        cat "$folder/server.log" >&2
        exit 1
    fi
    sleep 0.2
done
BASE_URL=http://127.0.0.1:$port "$scripts/run.sh"
