"""One HTTP/3 request: quic_get.py NAME 1|2 [PORT]. The name is resolved by the system, the QUIC version is the second argument, the
client's own port the third."""

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion


class Client(QuicConnectionProtocol):
    def get(self, name):
        self.http = H3Connection(self._quic)
        self.done = self._loop.create_future()
        stream = self._quic.get_next_available_stream_id()
        headers = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", name.encode()), (b":path", b"/")]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        return self.done

    def quic_event_received(self, event):
        for received in self.http.handle_event(event) if hasattr(self, "http") else []:
            if isinstance(received, (HeadersReceived, DataReceived)) and received.stream_ended and not self.done.done():
                self.done.set_result(None)


async def main(name, version, port=0):
    wanted = {"1": QuicProtocolVersion.VERSION_1, "2": QuicProtocolVersion.VERSION_2}[version]
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, original_version=wanted, supported_versions=[wanted]
    )
    async with connect(name, 443, configuration=configuration, create_protocol=Client, local_port=int(port)) as client:
        await asyncio.wait_for(client.get(name), 10)


asyncio.run(main(*sys.argv[1:]))
