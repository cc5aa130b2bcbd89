#!/usr/bin/env python3
"""Writes logs of a made-up year, as Suricata 7 and Zeek 6 write them, for benches/logs.sh.

    benches/logs.py eve|zeek FOLDER MEGABYTES

A company of 10,000 machines; each connection is a lookup with its answer, a hello, and its end; one in ten is plain HTTP. Every
hundredth machine runs the software, and one in forty of its connections goes to the vendor. The same arguments give the same bytes.
FOLDER/expected.txt has the addresses of the machines with such a connection.
"""
import os
import random
import sys

MACHINES = 10_000
YEAR = 365 * 86_400
# What one connection takes in each.
EVE_BYTES, ZEEK_BYTES = 2_450, 710
BEGIN = 1_767_225_600  # 2026-01-01T00:00:00Z
WORDS = "mail cdn static img api www login app portal sync store news video docs assets edge data web cloud events".split()
ENDS = "example.com example.net example.org example.co.uk cdn.example shop.example".split()
VENDOR = ["s07.upd.kaspersky.com", "p03.upd.kaspersky.com", "ksn-file-geo.kaspersky-labs.com", "dc1.ksn.kaspersky-labs.com"]
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"


def connections(count):
    """Time in microseconds, client, its port, name, address of the server, whether it is HTTP, whether it goes to the vendor."""
    rng = random.Random(2026)
    sites = [f"{a}{n}.{b}" for a in WORDS for b in ENDS for n in range(40)]
    step = YEAR * 1_000_000 // count
    for number in range(count):
        at = BEGIN * 1_000_000 + number * step + rng.randrange(step)
        machine = rng.randrange(MACHINES)
        client = f"10.{machine >> 12}.{machine >> 6 & 63}.{machine & 63}"
        if machine % 100 == 0 and rng.randrange(40) == 0:
            which = rng.randrange(len(VENDOR))
            yield at, client, 32_768 + rng.randrange(28_000), VENDOR[which], f"203.0.113.{which + 10}", False, True
        else:
            which = rng.randrange(len(sites))
            server = f"198.{18 + (which >> 14)}.{which >> 7 & 127}.{which & 127}"
            yield at, client, 32_768 + rng.randrange(28_000), sites[which], server, rng.randrange(10) == 0, False


class Clock:
    """Times as text. Of each day the date is made once."""

    def __init__(self):
        self.day, self.date = None, ""

    def iso(self, at):
        second, rest = divmod(at, 1_000_000)
        day, second = divmod(second, 86_400)
        if day != self.day:
            import datetime
            self.day, self.date = day, (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
        return f"{self.date}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{rest:06}+0000"


def eve(folder, size, rng):
    """One file a year, as rotation is not what is measured."""
    clock = Clock()
    number = 0
    with open(os.path.join(folder, "eve.json"), "w", buffering=1 << 20) as out:
        for at, client, port, name, server, http, _ in connections(size // EVE_BYTES):
            number += 2
            ids = rng.randrange(1 << 50)
            dns_id = rng.randrange(65_536)
            ends = f'"src_ip":"{client}","src_port":{port},"dest_ip":"{server}","dest_port":{80 if http else 443},"proto":"TCP"'
            lookup = f'"src_ip":"{client}","src_port":{port},"dest_ip":"10.0.0.53","dest_port":53,"proto":"UDP"'
            head = f'"flow_id":{ids},"in_iface":"eth1","event_type"'
            other = f'"flow_id":{ids + 1},"in_iface":"eth1","event_type"'
            t = [clock.iso(at + n) for n in (0, 9_000, 24_000, 310_000, 420_000)]
            lines = [
                f'{{"timestamp":"{t[0]}",{other}:"dns",{lookup},"pkt_src":"wire/pcap","dns":{{"type":"query","id":{dns_id},"rrname":"{name}","rrtype":"A","tx_id":0,"opcode":0}}}}',
                f'{{"timestamp":"{t[1]}",{other}:"dns",{lookup},"pkt_src":"wire/pcap","dns":{{"version":2,"type":"answer","id":{dns_id},"flags":"8180","qr":true,"rd":true,"ra":true,"opcode":0,"rrname":"{name}","rrtype":"A","rcode":"NOERROR","answers":[{{"rrname":"{name}","rrtype":"A","ttl":300,"rdata":"{server}"}}],"grouped":{{"A":["{server}"]}}}}}}',
            ]
            if http:
                lines.append(
                    f'{{"timestamp":"{t[2]}",{head}:"http",{ends},"pkt_src":"wire/pcap","tx_id":0,"http":{{"hostname":"{name}","url":"/assets/{dns_id}/index.html?id={ids}","http_user_agent":"{AGENT}","http_content_type":"text/html","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":{dns_id}}}}}')
            else:
                lines.append(
                    f'{{"timestamp":"{t[2]}",{head}:"tls",{ends},"pkt_src":"wire/pcap","tls":{{"sni":"{name}","version":"TLS 1.3","ja3":{{"hash":"{ids:032x}","string":"771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,0-23-65281-10-11-35-16-5-13-18-51-45-43-27-17513,29-23-24,0"}},"ja3s":{{"hash":"eb1d94daa7e0344597e756a1fb6e7054","string":"771,4865,51-43"}}}}}}')
            lines.append(
                f'{{"timestamp":"{t[3]}",{head}:"flow",{ends},"app_proto":"{"http" if http else "tls"}","flow":{{"pkts_toserver":12,"pkts_toclient":14,"bytes_toserver":2310,"bytes_toclient":{dns_id},"start":"{t[2]}","end":"{t[3]}","age":0,"state":"closed","reason":"timeout","alerted":false}},"tcp":{{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed","ts_max_regions":1,"tc_max_regions":1}}}}')
            lines.append(
                f'{{"timestamp":"{t[4]}",{other}:"flow",{lookup},"app_proto":"dns","flow":{{"pkts_toserver":1,"pkts_toclient":1,"bytes_toserver":82,"bytes_toclient":98,"start":"{t[0]}","end":"{t[1]}","age":0,"state":"established","reason":"timeout","alerted":false}}}}')
            out.write("\n".join(lines) + "\n")


def zeek(folder, size, rng):
    """conn, dns, ssl and http, tab-separated."""
    fields = {
        "conn": "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
        "dns": "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected",
        "ssl": "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version cipher curve server_name resumed last_alert next_protocol established ssl_history cert_chain_fps client_cert_chain_fps sni_matches_cert",
        "http": "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri referrer version user_agent origin request_body_len response_body_len status_code status_msg info_code info_msg tags username password proxied orig_fuids orig_filenames orig_mime_types resp_fuids resp_filenames resp_mime_types",
    }
    logs = {name: open(os.path.join(folder, f"{name}.log"), "w", buffering=1 << 20) for name in fields}
    for name, columns in fields.items():
        logs[name].write("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t" + name + "\n#fields\t" + columns.replace(" ", "\t") + "\n")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    # A connection is written when it is over, which need not be in the order in which they began.
    for at, client, port, name, server, http, _ in connections(size // ZEEK_BYTES):
        number = rng.randrange(1 << 60)
        uids = []
        for salt in (7, 11):
            n, uid = number * salt, ["C"]
            for _ in range(16):
                n, digit = divmod(n, 62)
                uid.append(letters[digit])
            uids.append("".join(uid))
        ts = f"{at // 1_000_000}.{at % 1_000_000:06}"
        later = at + 24_000
        ts2 = f"{later // 1_000_000}.{later % 1_000_000:06}"
        n = number % 60_000
        lookup = f"{uids[0]}\t{client}\t{port}\t10.0.0.53\t53"
        ends = f"{uids[1]}\t{client}\t{port}\t{server}\t{80 if http else 443}"
        logs["dns"].write(f"{ts}\t{lookup}\tudp\t{n}\t0.009000\t{name}\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t{server}\t300.000000\tF\n")
        logs["conn"].write(f"{ts}\t{lookup}\tudp\tdns\t0.009000\t38\t54\tSF\tT\tT\t0\tDd\t1\t66\t1\t82\t-\n")
        if http:
            logs["http"].write(f"{ts2}\t{ends}\t1\tGET\t{name}\t/assets/{n}/index.html?id={number}\t-\t1.1\t{AGENT}\t-\t0\t{n}\t200\tOK\t-\t-\t(empty)\t-\t-\t-\t-\t-\t-\tF{uids[0]}\t-\ttext/html\n")
        else:
            logs["ssl"].write(f"{ts2}\t{ends}\tTLSv13\tTLS_AES_128_GCM_SHA256\tx25519\t{name}\tF\t-\t-\tT\tCsiI\t-\t-\t-\n")
        logs["conn"].write(f"{ts2}\t{ends}\ttcp\t{'http' if http else 'ssl'}\t0.286000\t2310\t{n}\tSF\tT\tF\t0\tShADadFf\t12\t2830\t14\t{n + 560}\t-\n")


def main():
    kind, folder, megabytes = sys.argv[1:]
    size = int(megabytes) * 1_000_000
    os.makedirs(folder, exist_ok=True)
    write, each = {"eve": (eve, EVE_BYTES), "zeek": (zeek, ZEEK_BYTES)}[kind]
    write(folder, size, random.Random(7))
    machines = {client for _, client, *_, to_vendor in connections(size // each) if to_vendor}
    with open(os.path.join(folder, "expected.txt"), "w") as out:
        out.writelines(f"{machine}\n" for machine in sorted(machines))


if __name__ == "__main__":
    main()
