#!/usr/bin/env bash
# The same traffic over a pair of virtual interfaces to a receiver that only counts, to kaspector, tcpdump and Suricata, as far as they are
# installed, at equal offered loads; then how late alerts come, and what is found inside floods.
#
#   benches/live.sh [SECONDS] [RUNS]
#
# SECONDS is the length of each trial, 3 by default; RUNS is how often each is made, 3 by default: the medians count. Root only: it makes two
# network namespaces and a veth pair, sends nothing anywhere else, and takes them away at the end.
#
# LIVE_SMALL, LIVE_MIX, LIVE_ARRIVALS: ladders of rates in packets per second; 0 is as many as go. LIVE_TRAFFIC: which of small mix arrivals
# are in the ladders. LIVE_RECEIVERS: which of count kaspector tcpdump suricata. LIVE_PARTS: which of cpu loss latency floods. LIVE_FOLDER
# keeps what was measured. LIVE_NICE is what sender and receivers run at, -10 by default, so that neighbours on the machine disturb less.
#
# There are two ladders. `cpu`: the kernel's share of receiving stays on the sender's core, so that the receiver's figure is its own work.
# `loss`: that share is steered to the receiver's core (RPS), the sender goes faster, and what the receiving side is too slow for is lost.
#
# `small` and `mix` are sent over the cable. `arrivals` are small frames of 131,072 flows that nobody sends: the kernel takes them for received
# (benches/traffic/arrivals.rs), which makes more of them than a cable carries.
#
# count is examples/count.rs: the library's own ring and nothing behind it, with the same shape. Rings have 64 MiB everywhere. Receivers take
# turns at each rate, so that a slow minute of the machine meets all of them.
#
# CPU: what the scheduler counted for all threads of the receiver from the end of a warm-up of one second to a moment after the last packet,
# the rests between packets included. The kernel's share of receiving (softirq) is not in it in the first ladder; in the second it is as far
# as it interrupts the receiver, for all of them alike, if the kernel does not account for interrupts by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-3}
runs=${2:-3}
read -ra small_rates <<<"${LIVE_SMALL:-100000 200000 300000 400000 500000 0}"
read -ra mix_rates <<<"${LIVE_MIX:-50000 100000 150000 200000 300000 0}"
read -ra arrivals_rates <<<"${LIVE_ARRIVALS:-250000 500000 750000 1000000 0}"
read -ra traffics <<<"${LIVE_TRAFFIC:-small mix arrivals}"
read -ra parts <<<"${LIVE_PARTS:-cpu loss latency floods}"
read -ra wanted <<<"${LIVE_RECEIVERS:-count kaspector tcpdump suricata}"
[ "$(id -u)" -eq 0 ] || { echo "live: only root can make network namespaces" >&2; exit 1; }
nice=${LIVE_NICE:--10}
work=${LIVE_FOLDER:-$(mktemp -d)}
mkdir -p "$work"

cargo build --locked --release --bin kaspector --example blast --example count
release=$(realpath "${CARGO_TARGET_DIR:-target}/release")
kaspector=$release/kaspector
tool=(python3 "$PWD/benches/live.py")

receivers=()
for receiver in "${wanted[@]}"; do
    case $receiver in
        tcpdump | suricata) command -v "$receiver" >/dev/null || { echo "live: no $receiver here" >&2; continue; } ;;
    esac
    receivers+=("$receiver")
done

# --- two namespaces, one cable

here=live-s$$ there=live-r$$
running=()
clean() {
    for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
    ip netns del "$here" 2>/dev/null || true
    ip netns del "$there" 2>/dev/null || true
    [ -n "${LIVE_FOLDER-}" ] || rm -rf "$work"
}
trap clean EXIT
ip netns add "$here"
ip netns add "$there"
ip -n "$here" link add s0 type veth peer name r0 netns "$there"
for end in "$here s0" "$there r0"; do
    read -r space name <<<"$end"
    # Nothing of the system's own may be on the wire.
    ip netns exec "$space" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6"
    ip -n "$space" link set "$name" mtu 9000 up
done
sender_core=0 receiver_core=$(($(nproc) > 1 ? 1 : 0))
# steer yes|no: on which core the kernel does its share of receiving.
steer() {
    local mask=0
    [ "$1" = no ] || mask=$(printf '%x' $((1 << receiver_core)))
    ip netns exec "$there" sh -c "echo $mask >/sys/class/net/r0/queues/rx-0/rps_cpus"
}

# shellcheck source=benches/names.sh
. benches/names.sh
names_for_peers "$kaspector" "$work"
cat >>"$work/suricata.yaml" <<YAML
af-packet:
  - {interface: r0, threads: 1, cluster-id: 99, cluster-type: cluster_flow, defrag: no, use-mmap: yes, tpacket-v3: yes,
     block-size: 1048576, ring-size: 32768, checksum-checks: no, promisc: yes}
YAML

# --- one receiver

declare -A ready=([count]='Counting on' [kaspector]='Watching ' [tcpdump]='listening on' [suricata]='Engine started')
out=$work/out

# receive PROGRAM [ARGUMENT...]: starts it; leaves its process in $receiver_pid once it captures.
receive() {
    local program=$1
    shift
    rm -rf "$out"
    mkdir -p "$out"
    local line
    case $program in
        count) line=("$release/examples/count" r0) ;;
        kaspector) line=("$kaspector" watch -i r0 --stats-interval 3600 -o "file:$out/eve.json" "$@") ;;
        tcpdump) line=(tcpdump -i r0 -n -Z root -s 65535 -B 65536 -w /dev/null) ;;
        suricata) line=(suricata -c "$work/suricata.yaml" -S "$work/names.rules" --af-packet=r0 -l "$out" -k none --runmode workers) ;;
    esac
    ip netns exec "$there" nice -n "$nice" taskset -c "$receiver_core" "${line[@]}" >"$out/said" 2>&1 &
    receiver_pid=$!
    running+=("$receiver_pid")
    for _ in $(seq 600); do
        grep -qs "${ready[$program]}" "$out/said" && return
        kill -0 "$receiver_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "live: $program does not start: $(tail -n 3 "$out/said")" >&2
    return 1
}

# Ends it, and leaves what it received and what its ring dropped in $received and $dropped.
end() {
    kill -TERM "$receiver_pid"
    wait "$receiver_pid" || true
    running=()
    case $1 in
        count) read -r _ received _ _ _ dropped _ < <(grep ^packets "$out/said") ;;
        kaspector) read -r received dropped < <(sed -n 's/^r0: \([0-9]*\) packets.*dropped by the kernel: \([0-9]*\).*/\1 \2/p' "$out/said") ;;
        tcpdump) read -r received dropped < <(awk '/ captured$/ { captured = $1 } / dropped by kernel$/ { print captured, $1 }' "$out/said") ;;
        suricata) read -r received dropped < <(sed -n 's/.*r0: packets: \([0-9]*\), drops: \([0-9]*\).*/\1 \2/p' "$out/said" | awk '{ print $1 - $2, $2 }') ;;
    esac
}

blast_at() { ip netns exec "$1" nice -n "$nice" taskset -c "$sender_core" "$release/examples/blast" "${@:2}"; }
blast() { blast_at "$here" s0 --rewrite "$@"; }

declare -A frames=([small]="$here s0 --rewrite --small 100000" [mix]="$here s0 --rewrite --mix 20000" [arrivals]="$there r0 --arrivals")
rate_of() { [ "$1" -eq 0 ] || echo "--rate $1"; }

# trial TRAFFIC RATE RECEIVER RESULTS: one line of results.
trial() {
    local traffic=$1 rate=$2 receiver=$3 results=$4 before after warm sent took
    receive "$receiver" || return 0
    # Tables are touched for the first time, and names are learned: that is no part of a day's work.
    # shellcheck disable=SC2046,SC2086 # words of their own
    read -r _ warm _ < <(blast_at ${frames[$traffic]} $(rate_of "$rate") --seconds 1)
    before=$("${tool[@]}" cpu "$receiver_pid")
    # shellcheck disable=SC2046,SC2086 # words of their own
    read -r _ sent _ _ _ took _ < <(blast_at ${frames[$traffic]} $(rate_of "$rate") --seconds "$seconds")
    # tcpdump hands a block over after a second.
    if [ "$receiver" = tcpdump ]; then sleep 1.5; else sleep 0.3; fi
    after=$("${tool[@]}" cpu "$receiver_pid")
    end "$receiver"
    echo "$traffic $rate $receiver $warm $sent $took $received $dropped $((after - before))" >>"$results"
}

# ladder RESULTS: all traffic, rates, runs and receivers.
ladder() {
    local results=$1
    rm -f "$results"
    for traffic in "${traffics[@]}"; do
        local -n rates=${traffic}_rates
        for rate in "${rates[@]}"; do
            for _ in $(seq "$runs"); do
                for receiver in "${receivers[@]}"; do trial "$traffic" "$rate" "$receiver" "$results"; done
            done
        done
    done
    "${tool[@]}" tables "$results"
}

has() { [[ " ${parts[*]} " == *" $1 "* ]]; }

printf 'Linux %s, %s cores: sender on %s, receiver on %s. %s s each, %s runs. Load before: %s.\n\n' \
    "$(uname -r)" "$(nproc)" "$sender_core" "$receiver_core" "$seconds" "$runs" "$(cut -d' ' -f1-3 /proc/loadavg)"
printf 'Versions: %s' "$("$kaspector" --version)"
command -v tcpdump >/dev/null && printf ', %s' "$(tcpdump --version 2>&1 | head -1)"
command -v suricata >/dev/null && printf ', Suricata %s, %s rules' "$(suricata -V | grep -o '[0-9.]* RELEASE' | cut -d' ' -f1)" "$(wc -l <"$work/names.rules")"
printf '.\n\n'

if has cpu; then
    printf 'The kernel receives on the sender'"'"'s core\n\n'
    steer no
    ladder "$work/cpu"
fi
if [ "$receiver_core" -eq "$sender_core" ] || ! steer yes; then
    echo 'live: receiving cannot be steered here: one core, or no RPS' >&2
elif has loss; then
    printf 'The kernel receives on the receiver'"'"'s core\n\n'
    ladder "$work/loss"
fi

if has latency; then
    printf 'Packet to alert, milliseconds, at half of what kaspector takes without loss; 200 handshakes a second among the rest\n\n'
    printf '| traffic | packets/s | spool | alerts | p50 | p99 | longest |\n|---|---|---|---|---|---|---|\n'
    for traffic in small mix; do
        half=100000
        [ ! -s "$work/loss" ] || half=$(($("${tool[@]}" limit "$work/loss" "$traffic" kaspector) / 2))
        for spool in no yes; do
            rm -f "$work/alerts.sock"
            rm -rf "$work/spool"
            "${tool[@]}" listen "$work/alerts.sock" >"$work/late" &
            listener=$!
            if [ "$spool" = yes ]; then extra=(--spool "$work/spool"); else extra=(); fi
            receive kaspector -o "unix-dgram:$work/alerts.sock" "${extra[@]}"
            running+=("$listener")
            # shellcheck disable=SC2086 # words of their own
            blast_at ${frames[$traffic]} --rate "$half" --seconds "$((2 * seconds))" --handshakes 200 >/dev/null
            sleep 1
            end kaspector
            kill -TERM "$listener"
            wait "$listener" || true
            read -r alerts p50 p99 longest <"$work/late"
            printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$traffic" "$half" "$spool" "$alerts" "$p50" "$p99" "$longest"
        done
    done
    echo
fi

if has floods; then
    printf 'Handshakes inside a flood, 50 a second\n\n'
    printf '| flood | packets/s | dropped in the ring | lost before it | handshakes sent | hosts found |\n|---|---|---|---|---|---|\n'
    for flood in syn udp; do
        for rate in 200000 0; do
            receive kaspector
            # shellcheck disable=SC2046 # words of their own
            read -r _ sent _ _ _ _ _ per_second _ shaken < <(blast "--$flood" $(rate_of "$rate") --seconds "$((2 * seconds))" --handshakes 50)
            sleep 1
            end kaspector
            # Only those that shake hands are in 172.16.0.0/12.
            found=$(grep -o '"target":{"ip":"172\.[0-9.]*"' "$out/eve.json" | sort -u | wc -l)
            printf '| %s | %s | %s | %s | %s | %s |\n' "$flood" "$per_second" "$dropped" "$((sent - received - dropped))" "$shaken" "$found"
        done
    done
fi
