#!/usr/bin/env bash
# What the Suricata plugin costs: processor time (user and system, all threads) of `suricata -r CAPTURE` with its eve-log alone, with a second
# one of the same types into /dev/null, and with a second one into the plugin. They take turns, so that a slow minute meets all of them.
#
#   benches/suricata-plugin.sh CAPTURE PLUGIN [RUNS]
#
# PLUGIN is a kaspector.so that was built for release (plugins/suricata/install DIR). RUNS is how often each is run, 5 by default: the
# medians count, and the medians of what each costs over the first within the same turn.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
capture=$(realpath "$1") plugin=$(realpath "$2") runs=${3:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
types='[alert, dns, tls: {extended: yes}, quic, http: {extended: yes}, ftp, flow]'
first="  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, community-id: yes, types: $types}"
second() { echo "  - eve-log: {enabled: yes, community-id: yes, $1, types: $types}"; }

config() { # name, further outputs
    cat >"$work/$1.yaml" <<YAML
%YAML 1.1
---
plugins: [ $plugin ]
stats: {enabled: no}
outputs:
$first
$2
app-layer:
  protocols:
    tls: {enabled: yes, detection-ports: {dp: 443}, ja3-fingerprints: yes}
    dns: {tcp: {enabled: yes, detection-ports: {dp: 53}}, udp: {enabled: yes, detection-ports: {dp: 53}}}
    http: {enabled: yes}
    quic: {enabled: yes}
    ftp: {enabled: yes}
    smtp: {enabled: yes}
stream: {memcap: 1gb, checksum-validation: no, reassembly: {memcap: 1gb}}
flow: {memcap: 1gb, hash-size: 262144}
YAML
}
config alone ""
config null "$(second 'filetype: regular, filename: /dev/null')"
config plugin "$(second 'filetype: kaspector')"

for ((run = 1; run <= runs; run++)); do
    for name in alone null plugin; do
        rm -rf "$work/out" && mkdir "$work/out"
        TIMEFORMAT='%U %S'
        { time suricata -c "$work/$name.yaml" -l "$work/out" -k none --runmode "${RUNMODE:-single}" -r "$capture" >"$work/$name.log" 2>&1; } 2>"$work/time"
        awk -v name="$name" '{ printf "%s %.2f\n", name, $1 + $2 }' "$work/time" | tee -a "$work/times"
    done
done
grep -h 'kaspector: .*records' "$work/plugin.log" || { cat "$work/plugin.log" >&2; exit 1; }
wc -l <"$work/out/eve.json" | sed 's/$/ records in eve.json/'
python3 - "$work/times" <<'PYTHON'
import sys
from statistics import median

times = {}
for line in open(sys.argv[1]):
    name, seconds = line.split()
    times.setdefault(name, []).append(float(seconds))
for name, seconds in times.items():
    over = [100 * (one / alone - 1) for one, alone in zip(seconds, times["alone"])]
    print(f"{name:7} {median(seconds):7.2f} s, {median(over):+5.1f} % over alone (from {min(over):+.1f} to {max(over):+.1f})")
over = [100 * (one - null) / alone for one, null, alone in zip(times["plugin"], times["null"], times["alone"])]
print(f"the plugin over the same eve-log into /dev/null: {median(over):+.1f} % of alone (from {min(over):+.1f} to {max(over):+.1f})")
PYTHON
