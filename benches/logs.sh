#!/usr/bin/env bash
# Logs of a made-up year (benches/logs.py) through `kaspector logs`, and beside it what else reads them: wc -l, jq and DuckDB.
#
#   benches/logs.sh [MEGABYTES] [RUNS]         one size, all programs; 300 and 5 are the defaults
#   benches/logs.sh growth MEGABYTES...        kaspector alone, size by size: time and memory
#
# LOGS_FOLDER keeps the logs; LOGS_CORE is the core that one thread is pinned to. DuckDB is that of Python (pip install duckdb). The best of RUNS
# counts, of the wall clock and of the processor time: neighbours only ever add. Each answer is held against the machines that the logs were made for.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${LOGS_FOLDER:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${LOGS_FOLDER-}" ] || trap 'rm -rf "$work"' EXIT
core=${LOGS_CORE:-$(($(nproc) - 1))}
[ -x /usr/bin/time ] || { echo "logs: /usr/bin/time is missing (Debian and Ubuntu: apt-get install time)" >&2; exit 1; }
[ -n "${KASPECTOR-}" ] || cargo build --locked --release --bin kaspector
kaspector=$(realpath "${KASPECTOR:-${CARGO_TARGET_DIR:-target}/release/kaspector}")

make_logs() { # KIND MEGABYTES
    [ -e "$work/$1-$2/expected.txt" ] || python3 benches/logs.py "$1" "$work/$1-$2" "$2"
    cat "$work/$1-$2"/*.[jl]* > /dev/null
}

# The best of some runs: wall and processor seconds, megabytes.
best() { # RUNS COMMAND...
    local runs=$1
    shift
    for _ in $(seq "$runs"); do
        /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" > "$work/out"
        cat "$work/time"
    done | awk '{ cpu = $2 + $3; if (!n++ || $1 < wall) wall = $1; if (n == 1 || cpu < least) least = cpu; if ($4 > memory) memory = $4 }
                END { printf "%.2f %.2f %d", wall, least, memory / 1024 }'
}

check() { # FOLDER < addresses
    sort -u | cmp -s - <(sort -u "$1/expected.txt") && echo all || echo "not those of the logs"
}

hosts_of() { python3 -c 'import json, sys; [print(host["address"]) for host in json.load(sys.stdin)["hosts"]]'; }

row() { # LOGS PROGRAM "WALL CPU MEMORY" HOSTS
    read -r wall cpu memory <<< "$3"
    echo "| $1 | $2 | $wall | $cpu | $memory | $4 |"
}

if [ "${1-}" = growth ]; then
    shift
    echo '| logs | MB | wall, s | cpu, s | peak MB | hosts |'
    echo '|---|---|---|---|---|---|'
    for kind in eve zeek; do
        for size in "$@"; do
            make_logs "$kind" "$size"
            folder=$work/$kind-$size
            figures=$(best 2 "$kaspector" logs "$folder" -q --format json)
            read -r wall cpu memory <<< "$figures"
            bytes=$(cat "$folder"/*.[jl]* | wc -c)
            echo "| $kind | $((bytes / 1000000)) | $wall | $cpu | $memory | $(hosts_of < "$work/out" | check "$folder") |"
        done
    done
    exit
fi

size=${1:-300}
runs=${2:-5}
echo '| logs | program | wall, s | cpu, s | peak MB | hosts |'
echo '|---|---|---|---|---|---|'
for kind in eve zeek; do
    make_logs "$kind" "$size"
    folder=$work/$kind-$size
    files=("$folder"/*.[jl]*)
    row "$kind" 'wc -l' "$(best "$runs" taskset -c "$core" wc -l "${files[@]}")" -
    for threads in 1 2; do
        pin=(taskset -c "$core")
        [ "$threads" = 1 ] || pin=()
        figures=$(best "$runs" "${pin[@]}" "$kaspector" logs "$folder" --threads "$threads" -q --format json)
        row "$kind" "kaspector, $threads thread$([ "$threads" = 1 ] || echo s)" "$figures" "$(hosts_of < "$work/out" | check "$folder")"
    done
    [ "$kind" = eve ] || continue
    if command -v jq > /dev/null; then
        figures=$(best 1 taskset -c "$core" jq -c 'select(.dns.rrname // .tls.sni // .http.hostname // "" | test("kaspersky"; "i")) | .src_ip' "${files[@]}")
        row "$kind" "$(jq --version)" "$figures" "$(tr -d '"' < "$work/out" | check "$folder")"
    fi
    if python3 -c 'import duckdb' 2> /dev/null; then
        query="set threads = 1; copy (select distinct src_ip from read_json('${files[0]}', format = 'newline_delimited', columns = {src_ip: 'VARCHAR', \
            dns: 'STRUCT(rrname VARCHAR)', tls: 'STRUCT(sni VARCHAR)', http: 'STRUCT(hostname VARCHAR)'}) \
            where coalesce(dns.rrname, tls.sni, http.hostname) ilike '%kaspersky%') to '/dev/stdout' (header false)"
        figures=$(best 2 taskset -c "$core" python3 -c 'import duckdb, sys; duckdb.sql(sys.argv[1])' "$query")
        version=$(python3 -c 'import duckdb; print(duckdb.__version__)')
        row "$kind" "DuckDB $version" "$figures" "$(check "$folder" < "$work/out")"
    fi
done
