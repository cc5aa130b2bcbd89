# Sourced by the scripts that compare: everybody looks for the same names.

# names_for_peers KASPECTOR FOLDER: leaves there `names` (exact ones, and domains with everything below), the same as `names.rules` for
# Suricata, and a `suricata.yaml` that finds as much as Suricata can. A template counts as the domain that its variable part is below.
names_for_peers() {
    local kaspector=$1 work=$2 number kind name protocol match
    "$kaspector" signatures list | awk '
        $4 == "exact" { print "exact", $5 }
        $4 == "suffix" { print "suffix", $5 }
        $4 == "template" { sub(/^.*[{}][^.]*\./, "", $5); print "suffix", $5 }' | sort -u >"$work/all-names"
    # Without those that another one covers: fewer rules are better for the peers.
    awk '
        NR == FNR { if ($1 == "suffix") covers[$2] = 1; next }
        {
            rest = $2; covered = 0
            if ($1 == "exact" && rest in covers) covered = 1
            while (!covered && (dot = index(rest, ".")) > 0) { rest = substr(rest, dot + 1); covered = rest in covers }
            if (!covered) print
        }' "$work/all-names" "$work/all-names" >"$work/names"

    number=1000000
    while read -r kind name; do
        for protocol in tls:tls.sni dns:dns.query http:http.host quic:quic.sni; do
            if [ "$kind" = exact ]; then
                match="content:\"$name\"; nocase; startswith; endswith;"
            else
                match="dotprefix; content:\".$name\"; nocase; endswith;"
            fi
            # http.host is normalised to lower case, and Suricata refuses nocase there.
            [ "$protocol" != http:http.host ] || match=${match/ nocase;/}
            echo "alert ${protocol%%:*} any any -> any any (msg:\"$name\"; ${protocol#*:}; $match sid:$((number += 1)); rev:1;)"
        done
    done <"$work/names" >"$work/names.rules"

    cat >"$work/suricata.yaml" <<YAML
%YAML 1.1
---
vars:
  address-groups: {HOME_NET: "any", EXTERNAL_NET: "any"}
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [alert]}
app-layer:
  protocols:
    tls: {enabled: yes, detection-ports: {dp: 443}}
    dns: {tcp: {enabled: yes, detection-ports: {dp: 53}}, udp: {enabled: yes, detection-ports: {dp: 53}}}
    http: {enabled: yes}
    quic: {enabled: yes}
flow: {memcap: 4gb, hash-size: 65536, prealloc: 10000, emergency-recovery: 30}
stream:
  memcap: 4gb
  checksum-validation: no
  midstream: true
  async-oneside: true
  reassembly: {memcap: 4gb, depth: 1mb, toserver-chunk-size: 2560, toclient-chunk-size: 2560, randomize-chunk-size: yes}
detect: {profile: medium}
mpm-algo: auto
spm-algo: auto
YAML
}
