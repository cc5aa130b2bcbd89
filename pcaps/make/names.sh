#!/bin/bash
# Makes `names.pcap` anew: what real programs say of who they are, in network namespaces that lead nowhere.
#
#     sudo ./names.sh [FILE]        default: names.pcap in the folder above
#
# A client takes a lease (ISC dhclient, dnsmasq), looks for a file server and logs in to it (Samba), takes tickets (MIT Kerberos), and both
# announce themselves (Samba's nmbd, Avahi). Debian: apt install dnsmasq-base isc-dhcp-client samba smbclient avahi-daemon krb5-kdc krb5-user
# It ends only processes that it started.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$(dirname "$here")/names.pcap}
[[ $(id -u) == 0 ]] || { echo "names.sh: needs root, to make network namespaces" >&2; exit 1; }
for tool in ip tcpdump dnsmasq dhclient nmbd smbd smbpasswd smbclient nmblookup avahi-daemon krb5kdc kdb5_util kadmin.local kinit kvno; do
    type -P "$tool" >/dev/null || { echo "names.sh: missing: $tool" >&2; exit 1; }
done

lab=kn$$
work=$(mktemp -d)
chmod 755 "$work"
started=()
cleanup() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    for host in wire server desk; do ip netns del "$lab-$host" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

# A machine by its name: in its network namespace, with a host name of its own.
on() {
    local host=$1 name=$2
    shift 2
    ip netns exec "$lab-$host" unshare --uts bash -c 'hostname "$0" && exec "$@"' "$name" "$@"
}
start() {
    on "$@" >>"$work/log" 2>&1 &
    started+=($!)
}

for host in wire server desk; do
    ip netns add "$lab-$host"
    ip -n "$lab-$host" link set lo up
    ip netns exec "$lab-$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done
ip -n "$lab-wire" link add lan type bridge
ip -n "$lab-wire" link set lan up
number=1
for host in server desk; do
    ip -n "$lab-$host" link add eth0 address 02:4e:00:00:00:0$number type veth peer name "to-$host" netns "$lab-wire"
    ip -n "$lab-wire" link set "to-$host" master lan up
    ip -n "$lab-$host" link set eth0 up
    number=$((number + 1))
done
ip -n "$lab-server" address add 10.20.0.2/24 broadcast 10.20.0.255 dev eth0
ip netns exec "$lab-wire" tcpdump -q -i lan -s 0 -U -w "$work/names.pcap" 2>"$work/tcpdump" &
started+=($!)
recorder=$!
sleep 1

# A lease, with a name, a name with its domain, and a vendor class.
start server filesrv dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces --dhcp-leasefile="$work/leases" \
    --dhcp-range=10.20.0.100,10.20.0.100,1h --domain=corp.example --user=root
cat >"$work/dhclient.conf" <<'END'
send host-name "DESK-7";
send vendor-class-identifier "MSFT 5.0";
send fqdn.fqdn "desk-7.corp.example";
send fqdn.encoded on;
END
sleep 1
on desk desk-7 dhclient -4 -1 -d -cf "$work/dhclient.conf" -lf "$work/lease" -pf "$work/dhclient.pid" -sf /bin/true eth0 >>"$work/log" 2>&1 &
started+=($!)
sleep 3
ip -n "$lab-desk" address add 10.20.0.100/24 broadcast 10.20.0.255 dev eth0

# A file server that registers and announces itself, and a client that logs in.
mkdir -p "$work/samba/private" "$work/share"
cat >"$work/smb.conf" <<END
[global]
workgroup = CORP
netbios name = FILESRV
server string = Files of everybody
interfaces = eth0
bind interfaces only = yes
private dir = $work/samba/private
state directory = $work/samba
cache directory = $work/samba
lock directory = $work/samba
pid directory = $work/samba
ncalrpc dir = $work/samba/rpc
log file = $work/samba/log
local master = no
[share]
path = $work/share
END
printf 'secret\nsecret\n' | smbpasswd -c "$work/smb.conf" -s -a root >>"$work/log" 2>&1
start server filesrv nmbd -F -s "$work/smb.conf" -l "$work/samba"
start server filesrv smbd -F -s "$work/smb.conf" -l "$work/samba"
sleep 12
on desk desk-7 nmblookup -s "$work/smb.conf" --option='netbios name=DESK-7' -B 10.20.0.255 FILESRV >>"$work/log" 2>&1 || true
on desk desk-7 nmblookup -s "$work/smb.conf" --option='netbios name=DESK-7' -A 10.20.0.2 >>"$work/log" 2>&1 || true
on desk desk-7 smbclient -s "$work/smb.conf" --option='netbios name=DESK-7' -U 'CORP\root%secret' //10.20.0.2/share -c ls >>"$work/log" 2>&1 || true

# Tickets.
mkdir "$work/krb"
cat >"$work/krb5.conf" <<END
[libdefaults]
default_realm = CORP.EXAMPLE
dns_lookup_kdc = false
udp_preference_limit = 4096
[realms]
CORP.EXAMPLE = {
    kdc = 10.20.0.2
}
END
cat >"$work/kdc.conf" <<END
[kdcdefaults]
kdc_ports = 88
[realms]
CORP.EXAMPLE = {
    database_name = $work/krb/principal
    key_stash_file = $work/krb/stash
    acl_file = $work/krb/acl
}
END
export KRB5_CONFIG="$work/krb5.conf" KRB5_KDC_PROFILE="$work/kdc.conf" KRB5CCNAME="FILE:$work/krb/cache"
kdb5_util create -s -P master -r CORP.EXAMPLE >>"$work/log" 2>&1
kadmin.local -q 'addprinc -pw secret alice' >>"$work/log" 2>&1
kadmin.local -q 'addprinc -randkey host/filesrv.corp.example' >>"$work/log" 2>&1
start server filesrv krb5kdc -n
sleep 1
on desk desk-7 bash -c 'echo secret | kinit alice && kvno host/filesrv.corp.example' >>"$work/log" 2>&1 || true

# Announcements by multicast.
cat >"$work/avahi.conf" <<'END'
[server]
use-ipv6=no
enable-dbus=no
allow-interfaces=eth0
END
start server filesrv avahi-daemon --no-drop-root --no-rlimits --no-chroot -f "$work/avahi.conf"
sleep 5

kill "$recorder"
wait "$recorder" || true
[[ -s $work/names.pcap ]] || { cat "$work/log" "$work/tcpdump" >&2; exit 1; }
cp "$work/names.pcap" "$out"
if [[ ${VERBOSE:-} ]]; then cat "$work/log" >&2; fi
