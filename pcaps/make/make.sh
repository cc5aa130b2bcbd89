#!/bin/bash
# Makes the captures of this folder anew: real clients and servers, in network namespaces that lead nowhere.
#
#     sudo ./make.sh [-o FOLDER] [NAME...]        all captures, or those named; default folder: the one above
#     sudo PYTHON=VENV/bin/python ./make.sh       with the Python environment that install-clients made
#
# It installs nothing, ends only processes that it started, and takes its namespaces away when it ends. Namespaces:
#
#     pc5 pc6 pc7 resolver proxy mirror ksc --- wire (switch "lan", 10.20.0.0/24, 2001:db8:20::/64) --- router --- internet
#     pc-a server-a pc-b server-b -- wire (switch "trunk", VXLAN 100 and 200 over 192.0.2.0/24, the same addresses in both)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(dirname "$here")
python=${PYTHON:-python3}

while getopts o: option; do
    case $option in
        o) out=$OPTARG ;;
        *) echo "usage: make.sh [-o FOLDER] [NAME...]" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))

# --- What is needed ---------------------------------------------------------------------------------------------------

[[ $(id -u) == 0 ]] || { echo "make.sh: needs root, to make network namespaces" >&2; exit 1; }
missing=()
for tool in ip nft ethtool tcpdump nsd unbound dnsmasq nginx dovecot tinyproxy squid microsocks sshd ssh rsyslogd logger ping curl wget openssl dig swaks psql; do
    type -P "$tool" >/dev/null || missing+=("$tool")
done
for module in aioquic aiosmtpd OpenSSL requests pyftpdlib; do
    "$python" -c "import $module" 2>/dev/null || missing+=("python module $module")
done
if ((${#missing[@]})); then
    printf 'make.sh: missing: %s\n' "${missing[@]}" >&2
    echo "make.sh: see install-clients" >&2
    exit 1
fi
mkdir -p "$out"

# --- The laboratory ---------------------------------------------------------------------------------------------------

lab=kl$$
work=$(mktemp -d)
chmod 755 "$work"
cat >"$work/as" <<END
#!/bin/bash
hostname "\$1.example"
shift
exec env -i PATH="$PATH" HOME="$work" LC_ALL=C "\$@"
END
chmod +x "$work/as"
hosts=(wire router internet resolver proxy mirror ksc pc5 pc6 pc7 pc-a server-a pc-b server-b)
public_resolvers=(8.8.8.8 1.1.1.1 223.6.6.6 9.9.9.9 185.228.168.168)
started=()
recorder=

making=
cleanup() {
    local status=$? pid host
    if ((status)) && [[ $making ]]; then
        echo "make.sh: $making failed" >&2
        cat "$work/$making.log" >&2
    fi
    for pid in "${started[@]}" $recorder; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}" $recorder; do wait "$pid" 2>/dev/null || true; done
    for host in "${hosts[@]}"; do
        ip netns del "$lab-$host" 2>/dev/null || true
        rm -rf "/etc/netns/$lab-$host"
    done
    [[ ! -e $work/made-run-sshd ]] || rmdir /run/sshd 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Runs a command on a host, with a clean environment and a limit.
on() {
    local host=$1
    shift
    timeout 30 ip netns exec "$lab-$host" unshare --uts "$work/as" "$host" "$@"
}

# Starts a server on a host.
start() {
    local host=$1
    shift
    ip netns exec "$lab-$host" unshare --uts "$work/as" "$host" "$@" >>"$work/servers.log" 2>&1 &
    started+=($!)
}

# Waits until a host listens: HOST tcp|udp [ADDRESS:]PORT.
await() {
    local try
    for try in {1..100}; do
        on "$1" ss -Hln "--$2" | grep -qE "[ :]$3 " && return
        sleep 0.1
    done
    echo "make.sh: nothing listens on $1, $2 port $3" >&2
    cat "$work/servers.log" >&2
    return 1
}

in_ns() { ip -n "$lab-$1" "${@:2}"; }

# Joins a host to a switch: HOST SWITCH. The host's end is eth0, the switch's end port-HOST.
plug() {
    in_ns "$1" link add eth0 type veth peer name "port-$1" netns "$lab-wire"
    in_ns wire link set "port-$1" master "$2" up
    in_ns "$1" link set eth0 up
    quiet "$1" eth0
    quiet wire "port-$1"
}

# Lets packets look as they do on a wire: checksums filled in, no segments glued together.
quiet() { on "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null; }

address() {
    local host=$1 device=$2 each
    shift 2
    for each in "$@"; do in_ns "$host" addr add "$each" dev "$device"; done
}

build() {
    local host
    for host in "${hosts[@]}"; do
        ip netns add "$lab-$host"
        mkdir -p "/etc/netns/$lab-$host"
        echo "nameserver 10.20.0.53" >"/etc/netns/$lab-$host/resolv.conf"
        in_ns "$host" link set lo up
        # No router solicitations and no multicast reports in the captures.
        on "$host" sysctl -qw net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.all.accept_dad=0 \
            net.ipv6.conf.default.accept_dad=0
    done
    echo "nameserver 2001:db8:20::53" >"/etc/netns/$lab-pc7/resolv.conf"

    local switch
    for switch in lan trunk; do
        in_ns wire link add "$switch" type bridge mcast_snooping 0
        in_ns wire link set "$switch" addrgenmode none
        in_ns wire link set "$switch" up
    done
    for host in router resolver proxy mirror ksc pc5 pc6 pc7; do plug "$host" lan; done
    address pc5 eth0 10.20.0.5/24 2001:db8:20::5/64
    address pc6 eth0 10.20.0.6/24 2001:db8:20::6/64
    address pc7 eth0 10.20.0.7/24 2001:db8:20::7/64
    address ksc eth0 10.20.0.2/24 10.20.0.3/24 10.20.0.4/24 2001:db8:20::2/64
    address resolver eth0 10.20.0.53/24 10.20.0.54/24 2001:db8:20::53/64
    address proxy eth0 10.20.0.80/24 10.20.0.81/24 10.20.0.82/24 2001:db8:20::80/64
    address mirror eth0 10.20.0.90/24 2001:db8:20::90/64
    address router eth0 10.20.0.1/24 2001:db8:20::1/64
    for host in resolver proxy mirror ksc pc5 pc6 pc7; do
        in_ns "$host" route add default via 10.20.0.1
        in_ns "$host" -6 route add default via 2001:db8:20::1
    done

    in_ns router link add eth1 type veth peer name eth0 netns "$lab-internet"
    in_ns router link set eth1 up
    in_ns internet link set eth0 up
    quiet router eth1
    quiet internet eth0
    address router eth1 192.0.2.1/30 2001:db8:ffff::1/64
    address internet eth0 192.0.2.2/30 2001:db8:ffff::2/64
    address internet lo 198.51.100.{10,11,12,13,14,25,26,27,40,41,53,96,97,98,99}/32 203.0.113.80/32 77.74.181.10/32 2001:db8:100::10/128
    on pc5 sysctl -qw net.ipv4.tcp_fastopen=3
    on internet sysctl -qw net.ipv4.tcp_fastopen=3
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    in_ns router route add 198.51.100.0/24 via 192.0.2.2
    in_ns router route add 203.0.113.0/24 via 192.0.2.2
    # Nobody answers for this one: the router drops what is sent there.
    in_ns router route add blackhole 198.51.100.98/32
    # An address that is not for documentation: of a prefix that the vendor announces.
    in_ns router route add 77.74.181.10/32 via 192.0.2.2
    # Nor are those of the public resolvers.
    local each
    for each in "${public_resolvers[@]}"; do
        address internet lo "$each/32"
        in_ns router route add "$each/32" via 192.0.2.2
    done
    in_ns router -6 route add 2001:db8:100::/48 via 2001:db8:ffff::2
    in_ns internet route add default via 192.0.2.1
    in_ns internet -6 route add default via 2001:db8:ffff::1

    # Two tenants with the same addresses. Each has its own server, which is also its resolver.
    tenant a 100 192.0.2.65 192.0.2.66
    tenant b 200 192.0.2.67 192.0.2.68
    sleep 1
}

# LETTER VNI ADDRESS ADDRESS: a client and a server, joined by a VXLAN tunnel between the two addresses.
tenant() {
    local host
    for host in "pc-$1" "server-$1"; do plug "$host" trunk; done
    address "pc-$1" eth0 "$3/26"
    address "server-$1" eth0 "$4/26"
    in_ns "pc-$1" link add overlay mtu 1450 type vxlan id "$2" dstport 4789 local "$3" remote "$4" dev eth0
    in_ns "server-$1" link add overlay mtu 1450 type vxlan id "$2" dstport 4789 local "$4" remote "$3" dev eth0
    for host in "pc-$1" "server-$1"; do
        in_ns "$host" link set overlay addrgenmode none up
        quiet "$host" overlay
    done
    address "pc-$1" overlay 10.20.0.5/24
    address "server-$1" overlay 10.20.0.53/24 203.0.113.80/32
    in_ns "pc-$1" route add default via 10.20.0.53
}

# NAME SUBJECT SAN: a self-made certificate.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "$2" -addext "subjectAltName=$3" \
        -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}

serve() {
    local file
    for file in nsd.conf unbound.conf nginx.conf mirror.conf dovecot.conf tinyproxy.conf squid.conf sshd.conf rsyslog.conf; do
        sed "s|@work@|$work|g; s|@here@|$here|g" "$here/servers/$file" >"$work/$file"
    done
    certificate update "/O=Laboratory/CN=s07.upd.kaspersky.com" "DNS:s07.upd.kaspersky.com,DNS:p07.upd.kaspersky.com"
    certificate stranger "/O=Laboratory/CN=www.example" "DNS:www.example"
    certificate shared "/O=Laboratory/CN=edge.cdn.example" \
        "DNS:edge.cdn.example,DNS:www.shop.example,DNS:s15.upd.kaspersky.com,DNS:s16.upd.kaspersky.com"
    certificate site "/O=Laboratory/CN=www.kaspersky.com" "DNS:www.kaspersky.com,DNS:kaspersky.com"
    certificate management "/CN=ksc.corp.example" "DNS:ksc.corp.example"
    # A web service with a certificate of somebody's authority.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=Laboratory/CN=Some Authority" \
        -keyout "$work/authority.key" -out "$work/authority.pem" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=Laboratory/CN=board.shop.example" \
        -keyout "$work/board.key" -out "$work/board.csr" 2>/dev/null
    openssl x509 -req -in "$work/board.csr" -CA "$work/authority.pem" -CAkey "$work/authority.key" -CAcreateserial -days 3650 \
        -out "$work/board.pem" 2>/dev/null
    certificate mail "/O=Laboratory/CN=mail.example" "DNS:mail.example"
    mkdir -p "$work/dovecot" "$work/mail"
    chown dovecot:dovecot "$work/mail"
    touch "$work/squid.log" && chown proxy "$work/squid.log"

    files "$work/files"
    start mirror nginx -c "$work/mirror.conf" -e "$work/mirror-error.log"
    start mirror "$python" "$here/servers/ftp_server.py" 10.20.0.90 "$work/files"
    start mirror rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid"
    start internet "$python" "$here/servers/silent_server.py" 198.51.100.98 443
    start internet nsd -d -c "$work/nsd.conf"
    start internet nginx -c "$work/nginx.conf" -e "$work/nginx-error.log"
    start internet dovecot -F -c "$work/dovecot.conf"
    start internet "$python" "$here/servers/quic_server.py" 198.51.100.40 "$work/update.pem" "$work/update.key"
    start internet "$python" "$here/servers/quic_server.py" 198.51.100.41 "$work/update.pem" "$work/update.key" retry
    start internet "$python" "$here/servers/smtp_server.py" 198.51.100.25 "$work/mail.pem" "$work/mail.key"
    start internet "$python" "$here/servers/postgresql_server.py" 198.51.100.27 "$work/update.pem" "$work/update.key"
    # A management server with a certificate that can be read, one whose cannot, and a web service at the same port.
    start ksc openssl s_server -quiet -www -accept 10.20.0.2:13000 -tls1_2 -cert "$work/management.pem" -key "$work/management.key"
    start ksc openssl s_server -quiet -www -accept 10.20.0.3:13000 -tls1_3 -cert "$work/management.pem" -key "$work/management.key"
    start ksc openssl s_server -quiet -www -accept 10.20.0.4:13000 -tls1_2 -cert "$work/board.pem" -key "$work/board.key"
    start ksc "$python" "$here/servers/echo_server.py" 10.20.0.2 14000 15111
    start ksc "$python" -m http.server --bind 10.20.0.4 --directory "$work/mail" 14000
    # Servers that say no: by a reset behind the hello, and by an alert.
    start internet "$python" "$here/servers/resetting_server.py" 198.51.100.97 443
    start internet openssl s_server -quiet -accept 198.51.100.96:443 -cert "$work/stranger.pem" -key "$work/stranger.key" \
        -servername www.example -servername_fatal -cert2 "$work/stranger.pem" -key2 "$work/stranger.key"
    # A resolver that keeps the vendor's names from its clients, one that leads them nowhere, and public ones that know them not.
    start resolver dnsmasq -k -C /dev/null --no-resolv --no-hosts --bind-interfaces --listen-address=10.20.0.54 --port 53 \
        --address=/upd.kaspersky.com/ --address=/geo.kaspersky.com/0.0.0.0
    local listen=() each
    for each in "${public_resolvers[@]}"; do listen+=("--listen-address=$each"); done
    start internet dnsmasq -k -C /dev/null --no-resolv --no-hosts --bind-interfaces "${listen[@]}" --port 53 \
        --address=/kaspersky.com/ --address=/www.example/198.51.100.11
    start resolver unbound -d -c "$work/unbound.conf"
    start proxy tinyproxy -d -c "$work/tinyproxy.conf"
    start proxy squid -N -f "$work/squid.conf"
    start proxy microsocks -i 10.20.0.80 -p 1080
    start proxy microsocks -i 10.20.0.82 -p 1080 -u someone -P laboratory
    # The dynamic forwarding of OpenSSH speaks SOCKS 4a, too. Its server wants an empty folder for privilege separation.
    ssh-keygen -q -t ed25519 -N '' -f "$work/ssh_key"
    mkdir /run/sshd 2>/dev/null && touch "$work/made-run-sshd" || true
    start proxy "$(type -P sshd)" -D -e -f "$work/sshd.conf"
    await proxy tcp 2022
    start proxy ssh -F none -i "$work/ssh_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p 2022 -N \
        -D 10.20.0.81:1080 root@127.0.0.1
    local tenant
    for tenant in a b; do
        start "server-$tenant" dnsmasq -k -C /dev/null --no-resolv --no-hosts --port 53 --local-ttl=300 \
            --address=/s07.upd.kaspersky.com/203.0.113.80 --address=/www.shop.example/203.0.113.80
        start "server-$tenant" openssl s_server -quiet -WWW -accept 203.0.113.80:443 -cert "$work/shared.pem" -key "$work/shared.key"
        await "server-$tenant" tcp 443
        await "server-$tenant" udp 53
    done
    await internet udp 198.51.100.53:53
    await internet udp 185.228.168.168:53
    await resolver udp 10.20.0.54:53
    await internet tcp 198.51.100.97:443
    await internet tcp 198.51.100.96:443
    await ksc tcp 10.20.0.2:13000
    await ksc tcp 10.20.0.3:13000
    await ksc tcp 10.20.0.4:13000
    await ksc tcp 10.20.0.2:14000
    await ksc tcp 10.20.0.4:14000
    await ksc udp 10.20.0.2:15111
    await internet tcp 443
    await internet tcp 143
    await internet tcp 25
    await internet tcp 5432
    await internet udp 198.51.100.40:443
    await internet udp 198.51.100.41:443
    await internet tcp 198.51.100.98:443
    await mirror tcp 80
    await mirror tcp 21
    await mirror tcp 2121
    await mirror tcp 514
    await mirror udp 514
    await resolver udp 53
    local port
    for port in 8888 3128 10.20.0.80:1080 10.20.0.81:1080 10.20.0.82:1080; do await proxy tcp "$port"; done
    # The neighbours get to know each other, so that captures begin with what they are about.
    local host
    for host in pc5 pc6; do on ksc ping -qc1 -W2 "10.20.0.${host#pc}" >/dev/null; done
    for host in resolver proxy mirror pc5 pc6 pc7; do
        on "$host" ping -qc1 -W2 10.20.0.1 >/dev/null
        on "$host" ping -qc1 -W2 2001:db8:20::1 >/dev/null
    done
}

# Files of a mirror: each begins as its kind does, and goes on with something.
files() {
    local noise
    noise=$(seq 1 2000 | sha512sum | cut -c1-60; seq 1 300)
    mkdir -p "$1"/{pub/7,index,bases/av/kdb/i386,updates/app,updates/ksc,chunked}
    printf 'KLZF\1\0\0\0%s' "$noise" | tee "$1/pub/7/a1" "$1/chunked/a1" >"$1/bases/av/kdb/i386/base001.kdc"
    printf 'KLD2\1\0\0\0%s' "$noise" >"$1/pub/7/b2"
    printf 'DIFF\1\0\0\0%s' "$noise" | tee "$1/pub/7/patch" >"$1/updates/ksc/ksc.dif"
    printf '<UpdateFiles\n\tUpdateDate="04012026 0021"\n\tBlackDate="x">\n%s</UpdateFiles>\n' "$noise" >"$1/pub/7/c3.xml"
    printf '<Update\n\tDate="04012026 0027">\n%s</Update>\n' "$noise" >"$1/index/u1313g.xml"
    printf '%s' "$noise" >"$1/bases/av/kdb/i386/kdb.stt"
    printf '<Updates><Update Date="04012026"/></Updates>\n' >"$1/updates/app/list.xml"
    printf '{"KLZF":"<Update"}' >"$1/updates/app/latest.json"
}

# --- Recording --------------------------------------------------------------------------------------------------------

# NAME INTERFACE [FILTER]: records on an interface of the switch, "lan" and "trunk" for all of their ports; or of the host that
# recording_at names.
record() {
    recording=$1
    rm -f "$work/tcpdump.log"
    ip netns exec "$lab-${recording_at:-wire}" tcpdump -n -U -Z root -s 0 --immediate-mode -i "$2" -w "$work/$1.pcap" "${3:-not icmp6}" \
        2>"$work/tcpdump.log" &
    recorder=$!
    local try
    for try in {1..100}; do
        grep -qs "listening on" "$work/tcpdump.log" && return
        sleep 0.05
    done
    echo "make.sh: tcpdump did not begin" >&2
    cat "$work/tcpdump.log" >&2
    return 1
}

finish() {
    sleep 0.5
    kill -INT "$recorder"
    wait "$recorder" || true
    recorder=
    mv "$work/$recording.pcap" "$out/$recording.pcap"
}

# A web client without opinions about certificates.
get() {
    local host=$1
    shift
    on "$host" curl -q -sSk -o /dev/null --max-time 15 "$@"
}

# A TLS client that names nobody: HOST ADDRESS [PORT].
anonymous() {
    on "$1" openssl s_client -connect "$2:${3:-443}" -noservername -quiet -no_ign_eof </dev/null >/dev/null 2>&1 || true
}

# --- Names asked for --------------------------------------------------------------------------------------------------

make_dns_query_only() { record dns-query-only port-pc5; on pc5 dig s05.upd.kaspersky.com; finish; }
make_dns_over_tcp() { record dns-over-tcp port-pc5; on pc5 dig +tcp s05.upd.kaspersky.com; finish; }
make_dns_https_record() { record dns-https-record port-pc5; on pc5 dig ksn-url-geo.kaspersky-labs.com HTTPS; finish; }
make_dns_mixed_case() { record dns-mixed-case port-pc5; on pc5 dig DnL-07.GeO.KaSpErSkY.CoM; finish; }
make_dns_no_such_name() { record dns-no-such-name port-pc5; on pc5 dig s19.upd.kaspersky.com; finish; }
make_dns_alias_of_update_server() { record dns-alias-of-update-server port-pc5; on pc5 dig av-updates.corp.example; finish; }
make_dns_answers_only() {
    record dns-answers-only port-pc5 "src host 10.20.0.53"
    on pc5 dig s05.upd.kaspersky.com
    finish
}
make_resolver_upstream() {
    record resolver-upstream port-resolver "host 198.51.100.53"
    on pc5 dig s06.upd.kaspersky.com
    finish
}
make_resolver_both_sides() { record resolver-both-sides lan; on pc5 dig s08.upd.kaspersky.com; finish; }

# --- Names resolved, then addresses contacted -------------------------------------------------------------------------

make_dns_then_tls() { record dns-then-tls port-pc5; get pc5 https://s07.upd.kaspersky.com/; finish; }
make_dns_then_refused() { record dns-then-refused port-pc5; get pc5 http://dnl-12.geo.kaspersky.com/ || true; finish; }
make_dns_cname_then_address() {
    record dns-cname-then-address port-pc5
    on pc5 dig s15.upd.kaspersky.com
    anonymous pc5 203.0.113.80
    finish
}
make_shared_address_other_client() {
    record shared-address-other-client lan "host 203.0.113.80 or (port 53 and not host 198.51.100.53)"
    on pc5 dig s16.upd.kaspersky.com
    anonymous pc5 203.0.113.80
    get pc6 https://www.shop.example/
    anonymous pc7 203.0.113.80
    finish
}
make_shared_address_other_name() {
    record shared-address-other-name port-pc5
    on pc5 dig s17.upd.kaspersky.com
    get pc5 https://www.shop.example/
    finish
}
make_dns_answer_expired() {
    record dns-answer-expired port-pc5
    on pc5 dig s18.upd.kaspersky.com
    sleep 6
    anonymous pc5 203.0.113.80
    finish
}

make_shared_address_two_names() {
    record shared-address-two-names port-pc5
    on pc5 dig s16.upd.kaspersky.com
    on pc5 dig www.shop.example
    anonymous pc5 203.0.113.80
    finish
}

make_address_range() { record address-range port-pc5; anonymous pc5 77.74.181.10; finish; }

# --- TLS --------------------------------------------------------------------------------------------------------------

tls() { # HOST URL [CURL OPTION...]: no lookup in the capture
    get "$1" --resolve "$(sed -E 's|https?://([^/:]+)(:([0-9]+))?/.*|\1:\3|; s|:$|:443|' <<<"$2"):198.51.100.10" "${@:2}"
}
make_tls_reputation() { record tls-reputation port-pc5; tls pc5 https://ksn-file-geo.kaspersky-labs.com/; finish; }
make_tls_oem() { record tls-oem port-pc5; tls pc5 https://kav8.zonealarm.com/; finish; }
make_tls_in_page_script() { record tls-in-page-script port-pc5; tls pc5 https://gc.kis.v2.scr.kaspersky-labs.com/; finish; }
make_tls_other_port() { record tls-other-port port-pc5; tls pc5 https://s09.upd.kaspersky.com:8443/; finish; }
make_tls_wget() {
    record tls-wget port-pc5
    on pc5 wget -q --no-check-certificate -O /dev/null https://downloads.upd.kaspersky.com/
    finish
}
make_tls_upper_case() {
    record tls-upper-case port-pc5
    on pc5 openssl s_client -connect 198.51.100.10:443 -servername S07.UPD.KASPERSKY.COM -quiet -no_ign_eof </dev/null || true
    finish
}
make_tls_resumed() {
    on pc5 openssl s_client -connect 198.51.100.10:443 -servername s07.upd.kaspersky.com -sess_out "$work/session" -no_ign_eof \
        < <(printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1) || true
    record tls-resumed port-pc5
    on pc5 openssl s_client -connect 198.51.100.10:443 -servername s07.upd.kaspersky.com -sess_in "$work/session" -no_ign_eof \
        < <(printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1) || true
    finish
}
make_tls_post_quantum() {
    record tls-post-quantum port-pc5
    on pc5 "$python" "$here/clients/post_quantum_get.py" s11.upd.kaspersky.com
    finish
}
make_tls_hello_retry() { record tls-hello-retry port-pc5; tls pc5 https://s09.upd.kaspersky.com:9443/; finish; }
make_tls_hello_in_records() {
    record tls-hello-in-records port-pc5
    on pc5 openssl s_client -connect 198.51.100.10:443 -servername s07.upd.kaspersky.com -max_send_frag 512 -quiet -no_ign_eof \
        -alpn "$(printf 'laboratory-%02d,' {1..40})http/1.1" </dev/null || true
    finish
}
make_tls_fast_open() {
    # The first connection fetches the cookie, the second carries its ClientHello in the SYN.
    tls pc5 https://s09.upd.kaspersky.com:9444/ --tcp-fastopen
    record tls-fast-open port-pc5
    tls pc5 https://s09.upd.kaspersky.com:9444/ --tcp-fastopen
    finish
}
make_tls12_certificate() { record tls12-certificate port-pc5; get pc5 https://198.51.100.12/; finish; }
make_tls12_shared_certificate() { record tls12-shared-certificate port-pc5; get pc5 https://198.51.100.13/; finish; }
make_tls12_site_certificate() { record tls12-site-certificate port-pc5; get pc5 https://198.51.100.14/; finish; }

# --- QUIC -------------------------------------------------------------------------------------------------------------

make_quic_v1() {
    record quic-v1 port-pc5
    on pc5 "$python" "$here/clients/quic_get.py" ksn-verdict-geo.kaspersky-labs.com 1
    finish
}
make_quic_v2() {
    record quic-v2 port-pc5
    on pc5 "$python" "$here/clients/quic_get.py" ksn-info-geo.kaspersky-labs.com 2
    finish
}

make_quic_same_ports() {
    record quic-same-ports port-pc5 "not icmp6 and not port 53"
    on pc5 "$python" "$here/clients/quic_get.py" quic.example 1 40443
    on pc5 "$python" "$here/clients/quic_get.py" ksn-verdict-geo.kaspersky-labs.com 1 40443
    finish
}
make_quic_retry() {
    record quic-retry port-pc5
    on pc5 "$python" "$here/clients/quic_get.py" ksn-tcert-geo.kaspersky-labs.com 1
    finish
}

# --- HTTP -------------------------------------------------------------------------------------------------------------

make_http_update() { record http-update port-pc5; get pc5 http://dnl-05.geo.kaspersky.com/index/u1313g.xml; finish; }
make_http_keepalive() {
    record http-keepalive port-pc5
    get pc5 -H 'Host: cache.example' http://198.51.100.10/a -o /dev/null http://198.51.100.10/b \
        --next -q -sS -o /dev/null -H 'Host: dnl-06.geo.kaspersky.com' http://198.51.100.10/bases/av/kdb/i386/base001.kdc \
        --next -q -sS -o /dev/null -H 'Host: cache.example' http://198.51.100.10/c
    finish
}
make_http_body_imitates_request() {
    printf 'GET /index/u1313g.xml HTTP/1.1\r\nHost: dnl-05.geo.kaspersky.com\r\n\r\n' >"$work/body"
    record http-body-imitates-request port-pc6
    get pc6 --data-binary "@$work/body" http://www.example/a \
        --next -q -sS -o /dev/null --data-binary "@$work/body" -H 'Transfer-Encoding: chunked' http://www.example/b \
        --next -q -sS -o /dev/null http://www.example/c
    finish
}
make_http_mirror_path() { record http-mirror-path port-pc5; get pc5 http://198.51.100.11/index/u1313g.xml; finish; }
make_http_other_port() {
    record http-other-port port-pc5
    get pc5 --resolve dnl-06.geo.kaspersky.com:8080:198.51.100.10 http://dnl-06.geo.kaspersky.com:8080/index/u1313g.xml
    finish
}

# --- Mirrors inside the network, and strangers' files ------------------------------------------------------------------

make_body_database() { record body-database port-pc5; get pc5 http://10.20.0.90/pub/7/a1; finish; }
make_body_difference() { record body-difference port-pc5; get pc5 http://10.20.0.90/pub/7/b2; finish; }
make_body_gzip() { record body-gzip port-pc5; get pc5 --compressed http://10.20.0.90/pub/7/c3.xml; finish; }
make_body_chunked() { record body-chunked port-pc5; get pc5 http://10.20.0.90/chunked/a1; finish; }
make_body_public_server() { record body-public-server port-pc5; get pc5 http://198.51.100.11/pub/7/a1; finish; }
make_body_keepalive() {
    record body-keepalive port-pc5
    get pc5 http://10.20.0.90/updates/app/list.xml -o /dev/null http://10.20.0.90/updates/app/latest.json \
        -o /dev/null http://10.20.0.90/pub/7/a1 -o /dev/null http://10.20.0.90/updates/app/list.xml
    finish
}
make_body_of_named_component() { record body-of-named-component port-pc5; get pc5 http://10.20.0.90/updates/ksc/ksc.dif; finish; }
make_mirror_index() { record mirror-index port-pc5; get pc5 http://10.20.0.90/index/u1313g.xml; finish; }
make_mirror_path() { record mirror-path port-pc5; get pc5 http://10.20.0.90/bases/av/kdb/i386/kdb.stt; finish; }
make_mirror_has_none() { record mirror-has-none port-pc5; get pc5 http://10.20.0.90/index/umeta.xml; finish; }
make_mirror_of_others() {
    record mirror-of-others port-pc6
    get pc6 http://10.20.0.90/updates/app/list.xml -o /dev/null http://10.20.0.90/updates/app/latest.json
    get pc6 --compressed http://10.20.0.90/updates/app/list.xml
    get pc6 http://10.20.0.90/pub/7/patch
    finish
}
make_oem_engine() {
    record oem-engine port-pc5
    get pc5 -H 'Host: kav8.zonealarm.com' http://198.51.100.11/v6/index/u1313g.xml \
        -o /dev/null http://198.51.100.11/bases/av/kdb/i386/base001.kdc
    finish
}
make_ftp_update() { record ftp-update port-pc5; get pc5 ftp://10.20.0.90/index/u1313g.xml; finish; }
make_ftp_other_port() { record ftp-other-port port-pc5; get pc5 --ftp-method nocwd ftp://10.20.0.90:2121/bases/av/kdb/i386/base001.kdc; finish; }
make_ftp_of_others() { record ftp-of-others port-pc6; get pc6 ftp://10.20.0.90/updates/app/list.xml; finish; }
make_upload_of_saved_page() {
    printf '<html><head><script type="text/javascript" src="http://gc.kis.v2.scr.kaspersky-labs.com/%s/main.js?attr=abc"></script></head></html>' \
        FD126C42-EBFA-4E12-B309-BB3FDD723AC1 >"$work/files/saved.html"
    record upload-of-saved-page port-pc5
    get pc5 -F "file=@$work/files/saved.html" http://www.example/upload
    finish
}
make_download_of_saved_page() {
    printf '<html><head><script type="text/javascript" src="http://gc.kis.v2.scr.kaspersky-labs.com/%s/main.js?attr=abc"></script></head></html>' \
        FD126C42-EBFA-4E12-B309-BB3FDD723AC1 >"$work/files/saved.html"
    record download-of-saved-page port-pc6
    get pc6 http://10.20.0.90/saved.html
    get pc6 -d 'text=what is http://gc.kis.v2.scr.kaspersky-labs.com/ for?' http://www.example/forum
    finish
}
make_scan_engine() {
    record scan-engine port-pc6
    get pc6 -H 'X-KAV-ProtocolVersion: 1' -H 'X-KAV-Timeout: 5000' -d hello http://10.20.0.90/api/v3.0/scanmemory
    finish
}

# --- Protocols of old clients -----------------------------------------------------------------------------------------

make_old_cloud_tcp() {
    record old-cloud-tcp port-pc5
    on pc5 bash -c 'exec 3<>/dev/tcp/198.51.100.98/443; printf "KE\\0\\2\\0\\1hello" >&3; sleep 0.3'
    finish
}
make_old_cloud_udp() { record old-cloud-udp port-pc5; on pc5 bash -c 'printf "KS\\0\\0\\0\\1hello" >/dev/udp/198.51.100.98/2001'; finish; }
make_old_cloud_other_port() {
    record old-cloud-other-port port-pc6
    on pc6 bash -c 'printf "KS\\0\\0\\0\\1hello" >/dev/udp/198.51.100.98/2002'
    finish
}

# --- Proxies ----------------------------------------------------------------------------------------------------------

make_http_proxy_absolute() {
    record http-proxy-absolute port-pc5
    get pc5 -x http://10.20.0.80:8888 http://dnl-05.geo.kaspersky.com/index/u1313g.xml
    finish
}
make_http_proxy_keepalive() {
    record http-proxy-keepalive port-pc5
    get pc5 -x http://10.20.0.80:3128 http://www.example/ -o /dev/null http://dnl-08.geo.kaspersky.com/index/u1313g.xml \
        -o /dev/null http://news.example/
    finish
}
make_http_proxy_connect() {
    record http-proxy-connect port-pc5
    get pc5 -x http://10.20.0.80:8888 https://s07.upd.kaspersky.com/
    finish
}
make_proxy_both_sides() {
    record proxy-both-sides lan "not icmp6 and not host 198.51.100.53"
    get pc5 -x http://10.20.0.80:3128 https://s12.upd.kaspersky.com/
    get pc6 -x http://10.20.0.80:3128 https://www.example/
    finish
}
make_proxy_with_own_updates() {
    record proxy-with-own-updates lan "not icmp6 and not host 198.51.100.53"
    get pc5 -x http://10.20.0.80:8888 http://dnl-05.geo.kaspersky.com/index/u1313g.xml
    tls proxy https://s13.upd.kaspersky.com/
    finish
}
make_socks5_domain() {
    record socks5-domain port-pc5
    get pc5 --socks5-hostname 10.20.0.80:1080 https://s07.upd.kaspersky.com/
    finish
}
make_socks5_password() {
    record socks5-password port-pc5
    get pc5 --socks5-hostname someone:laboratory@10.20.0.82:1080 http://dnl-05.geo.kaspersky.com/index/u1313g.xml
    finish
}
make_socks5_address() {
    record socks5-address port-pc5 "not icmp6 and not port 53"
    get pc5 --socks5 10.20.0.80:1080 https://s07.upd.kaspersky.com/
    finish
}
make_socks5_address_both_sides() {
    record socks5-address-both-sides lan "not icmp6 and not host 198.51.100.53"
    get pc5 --socks5 10.20.0.80:1080 https://s12.upd.kaspersky.com/
    finish
}
make_socks4a() { record socks4a port-pc5; get pc5 --socks4a 10.20.0.81:1080 http://dnl-05.geo.kaspersky.com/; finish; }

# --- Mail and databases -------------------------------------------------------------------------------------------------------------

make_starttls_smtp() {
    record starttls-smtp port-pc5
    on pc5 swaks --server 198.51.100.25 --helo pc5.example --from a@mail.example --to b@mail.example --tls --tls-sni sm.kaspersky.com \
        --h-Subject hello --body hello
    finish
}
# HOST GREETING MESSAGE: hands a message over as a mail server does.
hand_over() {
    printf '%b' "$3" >"$work/message"
    on "$1" swaks --server 198.51.100.25 --helo "$2" --from a@corp.example --to b@mail.example --data "@$work/message"
}
trace_of() { printf 'Received: from %s (%s [10.20.0.5])\\r\\n\\tby %s (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 15:43:54 +0000\\r\\n' "$1" "$1" "$2"; }
ksmg='X-KSMG-Rule-ID: 1\r\nX-KSMG-Message-Action: clean\r\nX-KSMG-AntiVirus: Kaspersky Secure Mail Gateway, version 2.1.0.7854,\r\n bases: 2026/11/23\r\n'
letter='From: a@corp.example\r\nTo: b@mail.example\r\nSubject: hello\r\n'

make_mail_gateway() {
    record mail-gateway port-pc6
    hand_over pc6 mx.corp.example "$ksmg$(trace_of pc5.corp.example mx.corp.example)$(trace_of pc5 mail.corp.example)$letter\r\nhello\r\n"
    finish
}
make_mail_gateway_without_trace() {
    record mail-gateway-without-trace port-pc6
    hand_over pc6 mx.corp.example "$letter${ksmg//KSMG/KLMS}\r\nhello\r\n"
    finish
}
make_mail_gateway_below_own_trace() {
    record mail-gateway-below-own-trace port-pc6
    hand_over pc6 mx.corp.example "$(trace_of pc5 mx.corp.example)$letter$ksmg\r\nhello\r\n"
    finish
}
make_mail_gateway_names_itself() {
    record mail-gateway-names-itself port-pc6
    hand_over pc6 ex01.corp.example "$(trace_of ex02.corp.example ex01.corp.example)$(trace_of pc5 ex02.corp.example)${letter}X-KSE-ServerInfo: ex01.corp.example, 9\r\n\r\nhello\r\n"
    finish
}
make_mail_gateway_in_chunks() {
    printf '%b' "$ksmg$(trace_of pc5 mx.corp.example)$letter\r\nhello\r\n" >"$work/message"
    record mail-gateway-in-chunks port-pc6
    on pc6 "$python" "$here/clients/bdat_session.py" 198.51.100.25 mx.corp.example "$work/message"
    finish
}
make_mail_old_filter() {
    record mail-old-filter port-pc6
    hand_over pc6 mx.corp.example "X-SpamTest-Group-ID: 00000000\r\n$(trace_of pc5 mx.corp.example)$letter\r\nhello\r\n"
    finish
}
make_mail_from_elsewhere() {
    record mail-from-elsewhere port-pc6
    # A mailing list's mail, one that a forwarder sends on, and one that quotes such a header.
    hand_over pc6 lists.corp.example "$(trace_of lists.corp.example lists.corp.example)$(trace_of mx.other.example lists.corp.example)$(trace_of pc9.other.example mx.other.example)List-Id: <x.corp.example>\r\n$letter$ksmg\r\nhello\r\n"
    hand_over pc6 mx.corp.example "$(trace_of mx.other.example mx.corp.example)$ksmg$(trace_of pc9.other.example mx.other.example)$letter\r\nhello\r\n"
    hand_over pc6 mx.corp.example "$(trace_of pc5 mx.corp.example)$letter\r\n$ksmg\r\nhello\r\n"
    finish
}
make_starttls_imap() {
    record starttls-imap port-pc5 "not icmp6 and not port 53"
    get pc5 --ssl-reqd --user someone:laboratory imap://dc1-st.ksn.kaspersky-labs.com/
    finish
}
make_starttls_pop3() {
    record starttls-pop3 port-pc5
    on pc5 openssl s_client -connect 198.51.100.26:110 -starttls pop3 -servername activation-v2.kaspersky.com -quiet -no_ign_eof \
        < <(printf 'QUIT\r\n'; sleep 0.5) || true
    finish
}

make_starttls_postgresql() {
    record starttls-postgresql port-pc5
    on pc5 psql "host=activation-v2.kaspersky.com hostaddr=198.51.100.27 sslmode=require user=someone" || true
    finish
}

# --- Log collectors -----------------------------------------------------------------------------------------------------

# HOST ARGUMENT...: sends a message to the collector.
log_to_collector() { on "$1" logger --server 10.20.0.90 --port 514 "${@:2}"; }
console_event='CEF:0|KasperskyLab|SecurityCenter|13.2.0.1511|KLPRCI_TaskState|Completed successfully|1|rt=1647626887000 dhost=pc5 dst=10.20.0.5 cs2=KES cs2Label=ProductName'

make_syslog_cef() { record syslog-cef port-ksc; log_to_collector ksc --udp --rfc3164 --tag klserver "$console_event"; finish; }
make_syslog_cef_counted() {
    record syslog-cef-counted port-ksc
    log_to_collector ksc --tcp --octet-count --rfc5424=notq --tag console "Service started"
    printf '%s\n' "Service started" "$console_event" >"$work/events"
    log_to_collector ksc --tcp --octet-count --rfc5424=notq --tag console --file "$work/events"
    finish
}
make_syslog_structured() {
    record syslog-structured port-ksc
    log_to_collector ksc --udp --rfc5424=notq --tag 'KES|11.0.0.0' --msgid GNRL_EV_OBJECT_NOTCURED --sd-id event@23668 \
        --sd-param 'hdn="pc5"' --sd-param 'hip="10.20.0.5"' "Event type: object not disinfected"
    finish
}
make_syslog_of_others() {
    record syslog-of-others port-pc6
    log_to_collector pc6 --udp --rfc3164 --tag gateway "CEF:0|Example Ltd|Gateway|1.0|100|Kaspersky Lab file passed|1|msg=$console_event"
    log_to_collector pc6 --tcp --rfc5424=notq --tag shell "removed the lines '$console_event'"
    log_to_collector pc6 --udp --rfc5424=notq --tag sensor --sd-id event@32473 --sd-param 'id="event@23668"' "seen"
    finish
}

# --- IPv6, tenants, halves ----------------------------------------------------------------------------------------------

make_ipv6_dns_then_tls() { record ipv6-dns-then-tls port-pc7 ip6; get pc7 https://p03.upd.kaspersky.com/; finish; }
make_ipv6_dns_then_address() {
    record ipv6-dns-then-address port-pc7 ip6
    on pc7 dig @2001:db8:20::53 p04.upd.kaspersky.com AAAA
    anonymous pc7 "[2001:db8:100::10]"
    finish
}
make_two_tenants() {
    record two-tenants trunk
    on pc-a dig @10.20.0.53 s07.upd.kaspersky.com
    anonymous pc-b 203.0.113.80
    anonymous pc-a 203.0.113.80
    on pc-b dig @10.20.0.53 www.shop.example
    get pc-b --resolve www.shop.example:443:203.0.113.80 https://www.shop.example/
    finish
}
# Behind address translation, two systems: one begins with the hop limit of Linux, the other with that of Windows.
make_nat_two_systems() {
    on router nft -f - <<<'table ip nat { chain out { type nat hook postrouting priority 100; oifname "eth1" masquerade; }; }'
    on pc6 sysctl -qw net.ipv4.ip_default_ttl=128
    recording_at=router record nat-two-systems eth1
    tls pc5 https://s07.upd.kaspersky.com/
    tls pc6 https://ksn-file-geo.kaspersky-labs.com/
    finish
    on pc6 sysctl -qw net.ipv4.ip_default_ttl=64
    on router nft delete table ip nat
}
make_midstream_http() {
    local client
    on pc5 "$python" "$here/clients/slow_session.py" 3 http://dnl-08.geo.kaspersky.com/{index/u1313g.xml,diffs/bases/a} &
    client=$!
    sleep 2
    record midstream-http port-pc5
    wait "$client"
    finish
}
make_midstream_tls() {
    local client
    on pc5 "$python" "$here/clients/slow_session.py" 3 https://s14.upd.kaspersky.com/{a,b} &
    client=$!
    sleep 2
    record midstream-tls port-pc5
    wait "$client"
    finish
}
make_one_direction_to_server() {
    record one-direction-to-server port-pc5 "src host 10.20.0.5"
    get pc5 https://s07.upd.kaspersky.com/
    finish
}
make_one_direction_from_server() {
    record one-direction-from-server port-pc5 "dst host 10.20.0.5"
    get pc5 https://s07.upd.kaspersky.com/
    finish
}

# --- Contacts that failed ------------------------------------------------------------------------------------------------

make_blocked_by_silence() {
    record blocked-by-silence port-pc5
    get pc5 --connect-timeout 2 https://dnl-13.geo.kaspersky.com/ || true
    finish
}
make_blocked_behind_hello() { record blocked-behind-hello port-pc5; get pc5 https://dnl-14.geo.kaspersky.com/ || true; finish; }
make_blocked_by_alert() { record blocked-by-alert port-pc5; get pc5 https://dnl-15.geo.kaspersky.com/ || true; finish; }
make_dns_sinkhole() { record dns-sinkhole port-pc5; on pc5 dig @10.20.0.54 dnl-05.geo.kaspersky.com; finish; }
make_dns_unanswered() {
    record dns-unanswered port-pc5
    on pc5 dig +time=1 +tries=2 @198.51.100.98 dnl-05.geo.kaspersky.com || true
    finish
}
# HOST NAME RESOLVER...: asks one resolver after the other.
ask_each() {
    local each
    for each in "${@:3}"; do on "$1" dig +tries=1 "@$each" "$2"; done
}
make_resolver_fallback() {
    record resolver-fallback port-pc5
    ask_each pc5 s07.upd.kaspersky.com 10.20.0.54 "${public_resolvers[@]}"
    finish
}
make_resolver_fallback_other_name() {
    record resolver-fallback-other-name port-pc6
    ask_each pc6 www.example 10.20.0.54 "${public_resolvers[@]}"
    finish
}
make_resolver_public_as_usual() {
    record resolver-public-as-usual port-pc5
    ask_each pc5 s07.upd.kaspersky.com 8.8.8.8 1.1.1.1
    finish
}

# --- Management inside the network -----------------------------------------------------------------------------------

make_management_certificate() { record management-certificate port-pc5; anonymous pc5 10.20.0.2 13000; finish; }
make_management_port() { record management-port port-pc5; anonymous pc5 10.20.0.3 13000; finish; }
make_management_wake_up() {
    local agent
    on pc5 "$python" "$here/clients/agent.py" 15000 13000 &
    agent=$!
    await pc5 udp 15000
    record management-wake-up port-pc5
    on ksc "$python" "$here/clients/call.py" 10.20.0.3 10.20.0.5 15000
    wait "$agent"
    finish
}
make_management_wake_up_refused() {
    local agent
    on pc5 "$python" "$here/clients/agent.py" 15000 14000 &
    agent=$!
    await pc5 udp 15000
    record management-wake-up-refused port-pc5
    # From an address where nothing listens at the port that the agent connects to.
    on ksc "$python" "$here/clients/call.py" 10.20.0.3 10.20.0.5 15000
    wait "$agent"
    finish
}
make_management_three_connections() {
    local each
    record management-three-connections port-pc5
    for each in 1 2 3; do anonymous pc5 10.20.0.3 13000; done
    finish
}
make_management_cleartext() { record management-cleartext port-pc5; on pc5 bash -c 'exec 3<>/dev/tcp/10.20.0.2/14000; echo sync >&3; head -n1 <&3'; finish; }
make_ksn_proxy_udp() {
    record ksn-proxy-udp port-pc5
    on pc5 bash -c 'exec 3<>/dev/udp/10.20.0.2/15111; echo ask >&3; head -n1 <&3'
    finish
}
make_cloud_console() {
    record cloud-console port-pc5
    tls pc5 https://a1.ksc.kaspersky.com:23150/
    finish
}

# --- What looks like management and is not ---------------------------------------------------------------------------

board() { get "$1" --resolve board.shop.example:13000:10.20.0.4 https://board.shop.example:13000/; }
make_port_13000_public_name() {
    local each
    record port-13000-public-name port-pc6
    for each in 1 2 3; do board pc6; done
    finish
}
make_port_13000_other_authority() { record port-13000-other-authority port-pc6; anonymous pc6 10.20.0.4 13000; finish; }
make_port_14000_http() { record port-14000-http port-pc6; get pc6 http://10.20.0.4:14000/; finish; }
make_port_13000_of_client() {
    record port-13000-of-client port-pc6
    get pc6 --local-port 13000 https://www.example/
    get pc6 --local-port 14000 http://news.example/
    finish
}
make_port_13000_scanned() {
    local address port
    record port-13000-scanned port-pc6
    for address in 10.20.0.2 10.20.0.3 10.20.0.1 10.20.0.53; do
        for port in 13000 14000 13111; do on pc6 bash -c "exec 3<>/dev/tcp/$address/$port" || true; done
    done
    finish
}
make_internal_host_called_kaspersky() {
    record internal-host-called-kaspersky port-pc6
    get pc6 https://kaspersky01.corp.example/
    get pc6 http://kaspersky01.corp.example/
    on pc6 dig kaspersky01.corp.example
    finish
}

# --- People, look-alikes, strangers -----------------------------------------------------------------------------------

make_browsing_www() { record browsing-www port-pc5; get pc5 https://www.kaspersky.com/; get pc5 https://securelist.com/; finish; }
make_browsing_bank() { record browsing-bank port-pc5; get pc5 https://ru.fp.kaspersky-labs.com/; finish; }
make_lookalikes() {
    local name
    record lookalikes port-pc6
    for name in notkaspersky.com kaspersky.com.evil.example kaspersky-labs.com.evil.example s07.upd.kaspersky.com.example \
        xkaspersky-labs.com s20.upd-kaspersky.com kaspersky.no-ip.biz update.kasperskye.com; do
        get pc6 "https://$name/"
        get pc6 "http://$name/"
    done
    finish
}
make_page_mentions() {
    record page-mentions port-pc6
    get pc6 'http://news.example/article?about=s07.upd.kaspersky.com'
    get pc6 -e https://www.kaspersky.com/ -b 'seen=dnl-05.geo.kaspersky.com' http://news.example/article
    get pc6 -d 'url=http://dnl-05.geo.kaspersky.com/index/u1313g.xml' http://www.example/submit
    on pc6 swaks --server 198.51.100.25 --helo pc6.example --from a@mail.example --to b@mail.example --h-Subject s07.upd.kaspersky.com \
        --body 'Please open https://s07.upd.kaspersky.com/ and dnl-05.geo.kaspersky.com.'
    finish
}
make_unrelated() {
    printf 'Subject: hello\r\n\r\nhello\r\n' >"$work/message"
    record unrelated port-pc6
    get pc6 https://www.example/
    get pc6 http://news.example/
    on pc6 dig mail.example MX
    on pc6 ping -qc2 198.51.100.11
    on pc6 curl -q -sS --ssl-reqd -k --mail-from a@mail.example --mail-rcpt b@mail.example -T "$work/message" smtp://mail.example/pc6.example
    finish
}

# --- Browser ----------------------------------------------------------------------------------------------------------

# HOST URL [OPTION...]: a browser without a window, its own traffic switched off as far as it lets one.
browse() {
    local host=$1 url=$2 profile
    shift 2
    profile=$(mktemp -d -p "$work")
    on "$host" chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$profile" --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-default-apps \
        --disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,DnsOverHttps,AsyncDns \
        --host-resolver-rules='MAP *.google.com ~NOTFOUND, MAP *.googleapis.com ~NOTFOUND, MAP *.gstatic.com ~NOTFOUND' \
        --ignore-certificate-errors "$@" --timeout=4000 --dump-dom "$url" >/dev/null 2>>"$work/browser.log" || true
}
make_browser_www() {
    type -P chromium >/dev/null || return 0
    record browser-www port-pc6
    browse pc6 https://www.kaspersky.com/
    finish
}
make_browser_quic() {
    type -P chromium >/dev/null || return 0
    local pin
    pin=$(openssl x509 -in "$work/update.pem" -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
    record browser-quic port-pc6
    browse pc6 https://ksn-cinfo-geo.kaspersky-labs.com/ --enable-quic --origin-to-force-quic-on=ksn-cinfo-geo.kaspersky-labs.com:443 \
        --ignore-certificate-errors-spki-list="$pin"
    finish
}

# --- All of it --------------------------------------------------------------------------------------------------------

known=$(declare -F | sed -n 's/^declare -f make_//p')
if (($#)); then
    wanted=${*//-/_}
    for name in $wanted; do
        grep -qx "$name" <<<"$known" || { echo "make.sh: no capture ${name//_/-}" >&2; exit 2; }
    done
else
    wanted=$known
fi
build
serve
for making in ${wanted//_/-}; do
    "make_${making//-/_}" >"$work/$making.log" 2>&1
    [[ ! -e $out/$making.pcap ]] || echo "$making: $(stat -c %s "$out/$making.pcap") bytes"
done
making=
