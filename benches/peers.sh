#!/usr/bin/env bash
# The same captures through kaspector, Suricata, nDPI and tshark, as far as they are installed, and one table of what that took.
#
#   benches/peers.sh [PERCENT] [RUNS] [CAPTURE...]
#
# PERCENT is the size of the captures: 100 is about 3 million packets of mix, 10 of small64, 10 of churn (5M flows) and 2 of dns; 10 is the
# default. RUNS is how often each program reads each capture; the medians count, 3 is the default. CAPTURE: mix, small64, churn, dns.
# PEERS_FOLDER keeps captures and outputs; PEERS_CORE is the core that everything is pinned to; TIMEOUT is in seconds,
# MEMORY in megabytes: what one program may take, three quarters of what there is by default.
#
# Everybody looks for the same names: rules and filters are made from `kaspector signatures list`. Suricata gets midstream and one-sided
# streams, which it needs to find as much, no checksum tests, and room for every flow. `walk` is examples/walk.rs: it follows the records of
# the file and does nothing else. Programs take turns, so that a slow minute of the machine meets all of them.
#
# wall, cpu: medians, in seconds. start: the wall time of the same program on a capture of one packet, already taken out of packets/s.
# hosts: client addresses with a match. slower: times as long as kaspector, both without their start.
set -euo pipefail
cd "$(dirname "$0")/.."

percent=${1:-10}
runs=${2:-3}
captures=("${@:3}")
[ ${#captures[@]} -gt 0 ] || captures=(mix small64 churn dns)
core=${PEERS_CORE:-$(($(nproc) - 1))}
limit=${TIMEOUT:-900}
memory=${MEMORY:-$(awk '$1 == "MemTotal:" { printf "%d", $2 * 3 / 4 / 1024 }' /proc/meminfo)}
work=${PEERS_FOLDER:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${PEERS_FOLDER-}" ] || trap 'rm -rf "$work"' EXIT
[ -x /usr/bin/time ] || { echo "peers: /usr/bin/time is missing (Debian and Ubuntu: apt-get install time)" >&2; exit 1; }

cargo build --locked --release --bin kaspector --example generate --example walk
release=${CARGO_TARGET_DIR:-target}/release
kaspector=$(realpath "$release/kaspector")

programs=(walk kaspector)
for peer in suricata ndpiReader tshark; do
    if command -v "$peer" >/dev/null; then programs+=("$peer"); else echo "peers: no $peer here" >&2; fi
done

# --- captures

declare -A full=([mix]=200000 [small64]=10000000 [churn]=5000000 [dns]=2000000)
declare -A packets bytes
for capture in "${captures[@]}"; do
    path=$work/$capture-$percent.pcap
    [ -s "$path" ] || "$release/examples/generate" "$capture" $((full[$capture] * percent / 100)) "$path"
    read -r packets[$capture] bytes[$capture] _ < <("$release/examples/walk" "$path")
done
"$release/examples/generate" small64 1 "$work/one.pcap"

# shellcheck source=benches/names.sh
. benches/names.sh
names_for_peers "$kaspector" "$work"

# Rows "address name" in, addresses with a name that matters out, each once.
matching() {
    awk -v names="$work/names" '
        BEGIN { while ((getline row < names) > 0) { split(row, part, " "); if (part[1] == "exact") exact[part[2]] = 1; else suffix[part[2]] = 1 } }
        {
            name = tolower($2)
            found = name in exact || name in suffix
            while (!found && (dot = index(name, ".")) > 0) { name = substr(name, dot + 1); found = name in suffix }
            if (found) print $1
        }' | sort -u
}

# --- one run: `program capture-file output-folder`; leaves times and hosts there

fields() { printf '%s\n' -e ip.src -e ip.dst -e tls.handshake.extensions_server_name -e dns.qry.name -e http.host; }

command_of() {
    local program=$1 path=$2 out=$3
    case $program in
        walk) line=("$release/examples/walk" "$path") ;;
        kaspector) line=("$kaspector" scan -q --threads 1 --format json "$path") ;;
        suricata) line=(suricata -c "$work/suricata.yaml" -S "$work/names.rules" -r "$path" -l "$out" -k none --runmode single) ;;
        ndpiReader) line=(ndpiReader -q -i "$path" -C "$out/flows.csv") ;;
        tshark)
            mapfile -t line < <(fields)
            line=(tshark -n -r "$path" -Y "tls.handshake.extensions_server_name or dns.qry.name or http.host" -T fields "${line[@]}")
            ;;
    esac
}

hosts_of() {
    local program=$1 out=$2
    case $program in
        walk) echo - ;;
        kaspector) jq '[.hosts[].address] | unique | length' "$out/stdout" ;;
        # Generated clients are in 10.0.0.0/8, whichever direction raised the alert.
        suricata) jq -r '.src_ip, .dest_ip' "$out/eve.json" | awk '/^10\./' | sort -u | wc -l ;;
        ndpiReader)
            awk -F, '
                NR == 1 { sub(/^#/, ""); for (at = 1; at <= NF; at++) column[$at] = at; next }
                { a = $column["src_ip"]; print (a ~ /^10\./ ? a : $column["dst_ip"]), $column["server_name_sni"] }
            ' "$out/flows.csv" | matching | wc -l
            ;;
        tshark)
            awk -F'\t' '{ for (at = 3; at <= 5; at++) if ($at != "") print ($1 ~ /^10\./ ? $1 : $2), $at }' "$out/stdout" |
                matching | wc -l
            ;;
    esac
}

# Appends "wall cpu megabytes" to the results of this program and capture.
run() {
    local program=$1 path=$2 results=$3 out=$work/out
    rm -rf "$out"
    mkdir -p "$out"
    command_of "$program" "$path" "$out"
    cat "$path" >/dev/null
    local begun=$EPOCHREALTIME
    if timeout "$limit" /usr/bin/time -f '%U %S %M' -o "$out/time" taskset -c "$core" \
        prlimit --as=$((memory << 20)) "${line[@]}" >"$out/stdout" 2>"$out/stderr"; then
        tail -1 "$out/time" | awk -v begun="$begun" -v ended="$EPOCHREALTIME" \
            '{ printf "%.3f %.2f %.0f\n", ended - begun, $1 + $2, $3 / 1024 }' >>"$results"
        hosts_of "$program" "$out" >"$results.hosts"
    else
        echo "peers: $program failed, or took longer than $limit s or more than $memory MB, on $path: $(tail -n 1 "$out/stderr")" >&2
        echo failed >"$results.failed"
    fi
}

rm -f "$work"/result-*
for _ in $(seq "$runs"); do
    for program in "${programs[@]}"; do run "$program" "$work/one.pcap" "$work/result-$program-start"; done
done
for capture in "${captures[@]}"; do
    for _ in $(seq "$runs"); do
        for program in "${programs[@]}"; do
            results=$work/result-$program-$capture
            [ -e "$results.failed" ] || run "$program" "$work/$capture-$percent.pcap" "$results"
        done
    done
done

# --- the table

# Nothing measured is 0.
median() { awk -v at="$2" '{ print $at }' "$1" 2>/dev/null | sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] + 0 }'; }

printf '| capture | program | wall | low-high | cpu | start | packets/s | Gb/s | peak MB | hosts | slower |\n'
printf '|---|---|---|---|---|---|---|---|---|---|---|\n'
start_of() { median "$work/result-$1-start" 1; }
for capture in "${captures[@]}"; do
    ours=$(awk -v wall="$(median "$work/result-kaspector-$capture" 1)" -v start="$(start_of kaspector)" \
        'BEGIN { took = wall - start; print (took < 0.001 ? 0.001 : took) }')
    for program in "${programs[@]}"; do
        results=$work/result-$program-$capture
        if [ ! -s "$results" ] || [ -e "$results.failed" ]; then
            printf '| %s | %s | failed, over %s s or out of memory | | | | | | | | |\n' "$capture" "$program" "$limit"
            continue
        fi
        awk -v capture="$capture" -v program="$program" -v wall="$(median "$results" 1)" -v cpu="$(median "$results" 2)" \
            -v peak="$(median "$results" 3)" -v start="$(start_of "$program")" -v ours="$ours" -v hosts="$(cat "$results.hosts")" \
            -v low="$(cut -d' ' -f1 "$results" | sort -n | head -1)" -v high="$(cut -d' ' -f1 "$results" | sort -n | tail -1)" \
            -v packets="${packets[$capture]}" -v bytes="${bytes[$capture]}" 'BEGIN {
                took = wall - start; if (took < 0.001) took = 0.001
                printf "| %s | %s | %.3f | %.3f-%.3f | %.2f | %.3f | %.0f | %.2f | %d | %s | %.2f |\n",
                    capture, program, wall, low, high, cpu, start, packets / took, 8 * bytes / took / 1e9, peak, hosts, took / ours
            }'
    done
done
