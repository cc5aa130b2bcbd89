"""Sends made segments to a real listener and writes down what it made of them: `cases.py FOLDER`, as root in an empty network namespace.

FOLDER holds `certificate.pem` and `key.pem`. The kernel's TCP stands at one end of a virtual cable, with OpenSSL behind it; at the other
end this program is a client that sends whatever a case says. Each case hides a decoy beside the true hello, or sends the true one oddly, with
TCP timestamps and without. For each there is a capture in FOLDER, and a line of JSON on standard output: the name in the hello that OpenSSL
answered, if it did, and what the kernel sent.
"""

import json
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

FOLDER = sys.argv[1]
# Of one length, so that parts of two hellos make one.
TRUE_NAME, DECOY_NAME = "a-true-name.upd.kaspersky.com", "a-decoy-one.upd.kaspersky.com"
NEAR, FAR = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
CLIENT, SERVER = socket.inet_aton("10.9.0.1"), socket.inet_aton("10.9.0.2")
SECONDS_MAX, ANSWER_SECONDS_MAX = 18, 2
FIRST_PORT = 20_000
NONE, FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 0, 1, 2, 4, 8, 16, 32, 64, 128
FIRST_NUMBER = 0xFFFFFF00  # the numbers of a stream pass zero within its hello


def client_hello(name):
    answers, hello = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(answers, hello, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return hello.read()


TRUE, DECOY = client_hello(TRUE_NAME), client_hello(DECOY_NAME)
END, MIDDLE = len(TRUE), TRUE.index(TRUE_NAME.encode()) + 5
assert len(DECOY) == END and DECOY.index(DECOY_NAME.encode()) + 5 == MIDDLE > 100


@dataclass
class Segment:
    """One segment of the client. Numbers count from the first byte behind the SYN."""

    at: int
    payload: bytes = b""
    flags: int = PSH | ACK
    acknowledged: int = 0  # bytes beyond what the server sent
    age: int = 0  # how much older its timestamp is than that of the handshake
    timestamp: bool = True
    spoiled: bool = False  # whether its checksum is wrong
    urgent: int = 0
    window: int = 64000


def records(sizes, version=0x0301):
    """The true hello in records of these sizes, and one for the rest."""
    message, stream = TRUE[5:], b""
    for size in [*sizes, len(message)]:
        part, message = message[:size], message[size:]
        stream += struct.pack(">BHH", 22, version, len(part)) + part
    return stream


def in_pieces(stream, size):
    return [Segment(at, stream[at : at + size]) for at in range(0, len(stream), size)]


S = Segment
WHOLE = S(0, TRUE)
SYN_ALONE = S(-1, flags=SYN)
OPENING = [SYN_ALONE, S(0, flags=ACK)]
# What the client sends once the connection is open.
CASES = {
    "a hello in one segment": [WHOLE],
    "byte by byte at first": [*in_pieces(TRUE[:12], 1), S(12, TRUE[12:])],
    "the last segment first": in_pieces(TRUE, 100)[::-1],
    "with its end": [S(0, TRUE, PSH | ACK | FIN)],
    "with flags of ECN": [S(0, TRUE, PSH | ACK | ECE | CWR)],
    "with a window of zero that opens later": [S(0, TRUE, window=0), S(END, flags=ACK)],
    # TLS records.
    "in a record whose version is 3.255": [S(0, records([], 0x03FF))],
    "in a record whose version is 2.0": [S(0, records([], 0x0200))],
    "with a first record of one byte": [S(0, records([1]))],
    "in records of one byte": [S(0, records([1] * 40))],
    "behind a record without content": [S(0, records([0]))],
    "behind forty records without content": [S(0, records([0] * 40))],
    "behind an alert": [S(0, bytes([21, 3, 1, 0, 2, 1, 0]) + TRUE)],
    "behind a change of cipher": [S(0, bytes([20, 3, 1, 0, 1, 1]) + TRUE)],
    "behind application data": [S(0, bytes([23, 3, 1, 0, 1, 1]) + TRUE)],
    # Segments that the kernel drops.
    "decoy without flags": [S(0, DECOY, NONE), WHOLE],
    "decoy with PSH alone": [S(0, DECOY, PSH), WHOLE],
    "decoy with FIN alone": [S(0, DECOY, FIN), WHOLE],
    "decoy with URG alone": [S(0, DECOY, URG, urgent=5), WHOLE],
    "decoy with SYN": [S(50_000, DECOY, SYN), WHOLE],
    "decoy with the SYN sent again": [S(-1, DECOY, SYN), WHOLE],
    "decoy with SYN and ACK": [S(777, DECOY, SYN | ACK), WHOLE],
    "SYN and ACK without data": [S(777, flags=SYN | ACK), WHOLE],
    "SYN and ACK in the middle": [S(0, TRUE[:MIDDLE]), S(777, flags=SYN | ACK), S(MIDDLE, TRUE[MIDDLE:])],
    "decoy with RST elsewhere": [S(500, DECOY, RST | ACK), WHOLE],
    "decoy with RST far away": [S(900_000, DECOY, RST), WHOLE],
    "decoy with a wrong checksum": [S(0, DECOY, spoiled=True), WHOLE],
    "decoy that acknowledges what was not sent": [S(0, DECOY, acknowledged=100_000), WHOLE],
    "decoy that acknowledges long ago": [S(0, DECOY, acknowledged=-0x7000000), WHOLE],
    "decoy far outside the window": [S(20_000_000, DECOY), WHOLE],
    "decoy with an old timestamp": [S(0, DECOY, age=900), WHOLE],
    "a hello without a timestamp": [S(0, TRUE, timestamp=False)],
    "an end far ahead": [S(5_000, flags=FIN | ACK), WHOLE],
    "an end, and more": [S(0, TRUE[:100]), S(100, flags=FIN | ACK), S(100, TRUE[100:])],
    # Bytes that came twice; where two hellos are mixed, the name is, too.
    "probe before the first byte": [S(-1, b"x", ACK), WHOLE],
    "decoy before the first byte": [S(-20, DECOY[:20] + TRUE[:50]), S(50, TRUE[50:])],
    "decoy over delivered bytes": [S(0, TRUE[:MIDDLE]), S(0, DECOY[:MIDDLE]), S(MIDDLE, TRUE[MIDDLE:])],
    "decoy from delivered bytes on": [S(0, TRUE[:MIDDLE]), S(100, DECOY[100:])],
    "decoy waits, then the whole": [S(100, DECOY[100:]), WHOLE],
    "decoy waits, then a part": [S(100, DECOY[100:]), S(0, TRUE[:MIDDLE]), S(MIDDLE, TRUE[MIDDLE:])],
    "decoy waits, longer one from its byte": [S(100, DECOY[100:200]), S(100, TRUE[100:]), S(0, TRUE[:100])],
    "decoy waits, longer one around it": [S(150, DECOY[150:250]), S(100, TRUE[100:]), S(0, TRUE[:100])],
    "decoy waits within the name": [S(MIDDLE - 3, DECOY[MIDDLE - 3 : MIDDLE + 3]), S(MIDDLE, TRUE[MIDDLE:]), S(0, TRUE[:MIDDLE])],
    "decoy waits behind the name": [S(MIDDLE, DECOY[MIDDLE:]), S(MIDDLE - 3, TRUE[MIDDLE - 3 : MIDDLE + 3]), S(0, TRUE[:MIDDLE])],
    "decoy over waiting bytes": [S(100, TRUE[100:]), S(100, DECOY[100:200]), S(0, TRUE[:100])],
    "decoy over the end of waiting bytes": [S(100, TRUE[100:300]), S(250, DECOY[250:300] + TRUE[300:]), S(0, TRUE[:100])],
    "decoy in pieces from the last on": [*in_pieces(DECOY, 64)[:0:-1], *in_pieces(TRUE, 50)],
    "every other piece of a decoy": [*in_pieces(DECOY, 64)[2::2], *in_pieces(TRUE, 90)[::-1]],
    "part of a decoy with a wrong checksum": [
        S(0, DECOY[:100], spoiled=True), S(100, DECOY[100:]), S(0, TRUE[:MIDDLE]), S(MIDDLE, TRUE[MIDDLE:]),
    ],
    "rest of a decoy with a wrong checksum": [
        S(0, TRUE[:MIDDLE]), S(100, DECOY[100:], spoiled=True), S(MIDDLE + 3, TRUE[MIDDLE + 3 :]), S(MIDDLE, TRUE[MIDDLE:]),
    ],
    # Linux does not hand the urgent byte on with the others.
    "an urgent byte within": [S(0, TRUE[:10] + b"!" + TRUE[10:], PSH | ACK | URG, urgent=11)],
    "an urgent byte first in its segment": [S(0, TRUE[:100]), S(100, b"!" + TRUE[100:], PSH | ACK | URG, urgent=1)],
    "an urgent byte by a pointer of zero": [S(0, TRUE, PSH | ACK | URG, urgent=0)],
    "an urgent byte beyond the segment": [S(0, TRUE, PSH | ACK | URG, urgent=END + 100)],
}
# The same from the first segment on.
OPENINGS = {
    "a hello with the ACK of the handshake": [SYN_ALONE, WHOLE],
    "decoy with a wrong ACK in the handshake": [SYN_ALONE, S(0, DECOY, acknowledged=5), WHOLE],
    "decoy with the SYN": [S(-1, DECOY, SYN), S(0, flags=ACK), WHOLE],
    "decoy with SYN and FIN before": [S(-1, DECOY, SYN | FIN), *OPENING, WHOLE],
}
NEEDS_TIMESTAMPS = {"decoy with an old timestamp", "a hello without a timestamp"}
# Here the server has closed before the hello comes, and nobody answers it. It is read all the same: a reset may be another's, who wants
# bystanders to stop, and captures put segments that come together in any order. The hello remains what this client sent.
CLOSED_BEFORE = {
    "a reset, then a hello": [S(0, flags=RST | ACK), WHOLE],
    "decoy with RST in its place, then a hello": [S(0, DECOY, RST | ACK), WHOLE],
    "an end, then a hello": [S(0, flags=FIN | ACK), WHOLE],
}


class Server(threading.Thread):
    """OpenSSL behind a listener of the kernel; knows the name in each hello by the port of its client."""

    def __init__(self):
        super().__init__(daemon=True)
        self.names = {}
        self.listener = socket.create_server((socket.inet_ntoa(SERVER), 443), backlog=128)

    def run(self):
        while True:
            connection, (_, port) = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection, port), daemon=True).start()

    def serve(self, connection, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem")
        context.sni_callback = lambda _socket, name, _context: self.names.__setitem__(port, name)
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            connection.close()  # no client here goes on with the handshake


class Wire:
    """The client's end of a virtual cable."""

    def __init__(self):
        for command in [
            f"link add near address {NEAR.hex(':')} type veth peer name far address {FAR.hex(':')}",
            "link set near addrgenmode none mtu 9000 up",
            "link set far addrgenmode none mtu 9000 up",
            "address add 10.9.0.2/24 dev far",
            f"neighbour add 10.9.0.1 lladdr {NEAR.hex(':')} dev far",
        ]:
            subprocess.run(["ip", *command.split()], check=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.bind(("near", 0))

    def send(self, packet):
        frame = FAR + NEAR + b"\x08\x00" + packet
        self.socket.send(frame)
        return frame

    def receive(self, seconds):
        """The next frame of the kernel, if one comes in time."""
        self.socket.settimeout(seconds or 1e-6)
        try:
            frame, (_, _, kind, _, _) = self.socket.recvfrom(65535)
            return b"" if kind == socket.PACKET_OUTGOING else frame
        except (TimeoutError, BlockingIOError):
            return None


def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Connection:
    """One client port, and all frames from it and to it."""

    def __init__(self, wire, port, with_timestamps):
        self.wire, self.port, self.with_timestamps = wire, port, with_timestamps
        self.frames, self.kernel = [], []
        self.server_number, self.next, self.clock, self.echo = None, 0, 1000, 0
        self.is_answered = self.is_closed = self.is_reset = False

    def send(self, segment):
        options = b"\x02\x04\x05\xb4" if segment.flags & SYN else b""
        if self.with_timestamps and segment.timestamp:
            options += b"\x01\x01\x08\x0a" + struct.pack(">II", self.clock - segment.age, self.echo)
        number = (FIRST_NUMBER + 1 + segment.at) % 2**32
        acknowledged = (self.next + segment.acknowledged) % 2**32 if segment.flags & ACK else 0
        offset = (20 + len(options)) << 2
        ports = struct.pack(">HHII", self.port, 443, number, acknowledged)
        rest = struct.pack(">BBH", offset & 0xF0, segment.flags, segment.window)
        tail = struct.pack(">H", segment.urgent) + options + segment.payload
        pseudo = CLIENT + SERVER + struct.pack(">HH", 6, len(ports + rest + tail) + 2)
        total = checksum(pseudo + ports + rest + b"\0\0" + tail) ^ (0x1234 if segment.spoiled else 0)
        tcp = ports + rest + struct.pack(">H", total) + tail
        ip = lambda total: struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, total) + CLIENT + SERVER
        self.is_reset = False
        self.note(self.wire.send(ip(checksum(ip(0))) + tcp))
        self.clock += 1
        if segment.flags == SYN and self.server_number is None:
            self.hear(1, lambda: self.server_number is not None)
        self.hear(0, lambda: False)

    def note(self, frame):
        self.frames.append((time.time_ns(), frame))

    def hear(self, seconds, is_enough):
        """Takes what the kernel sends, until that is enough or time is up."""
        end = time.monotonic() + seconds
        while not is_enough():
            frame = self.wire.receive(max(end - time.monotonic(), 0))
            if frame is None:
                return
            if frame[23:24] == b"\x06" and frame[36:38] == struct.pack(">H", self.port):
                self.note(frame)
                self.take(frame[14:])

    def take(self, packet):
        length, tcp = struct.unpack(">H", packet[2:4])[0], packet[20:]
        number, acknowledged, offset, flags = struct.unpack(">IIBB", tcp[4:14])
        payload = packet[20 + (offset >> 4) * 4 : length]
        if flags & SYN:
            self.server_number, self.next = number, (number + 1) % 2**32
        if tcp[20:22] == b"\x02\x04" and tcp[26:28] == b"\x08\x0a" and self.with_timestamps:
            self.echo = struct.unpack(">I", tcp[28:32])[0]
        names = [name for name, flag in [("SYN", SYN), ("FIN", FIN), ("RST", RST)] if flags & flag]
        if flags & ACK:
            names.append(f"ACK {(acknowledged - FIRST_NUMBER - 1) % 2**32}")
        self.kernel.append(" ".join(names + ([f"with {len(payload)} bytes"] if payload else [])))
        self.is_answered |= payload[:1] == b"\x16"
        self.is_closed |= bool(payload) or flags & FIN != 0
        self.is_reset |= flags & RST != 0

    @property
    def is_over(self):
        """Whether the server has said what it has to say to the last segment."""
        return self.is_closed or self.is_reset

    def write(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
            for at, frame in self.frames:
                file.write(struct.pack("<IIII", at // 10**9, at % 10**9, len(frame), len(frame)) + frame)


def plan():
    """Name, segments, whether timestamps are sent, and whether the server has closed before."""
    for suffix, with_timestamps in [("", False), (", with timestamps", True)]:
        for name, segments in (CASES | CLOSED_BEFORE).items():
            if with_timestamps or name not in NEEDS_TIMESTAMPS:
                yield name + suffix, OPENING + segments, with_timestamps, name in CLOSED_BEFORE
        for name, segments in OPENINGS.items():
            yield name + suffix, segments, with_timestamps, False


def main():
    signal.alarm(SECONDS_MAX)
    wire, server = Wire(), Server()
    server.start()
    for port, (name, segments, with_timestamps, is_closed) in enumerate(plan(), FIRST_PORT):
        connection = Connection(wire, port, with_timestamps)
        for segment in segments:
            connection.send(segment)
        connection.hear(ANSWER_SECONDS_MAX, lambda: connection.is_over)
        capture = f"{port}.pcap"
        connection.write(f"{FOLDER}/{capture}")
        result = {
            "case": name,
            "answered": server.names.get(port) if connection.is_answered else None,
            "closed_before": is_closed,
            "kernel": connection.kernel,
            "capture": capture,
        }
        print(json.dumps(result), flush=True)


main()
