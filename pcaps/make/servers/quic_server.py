"""An HTTP/3 server that answers every request with "ok": quic_server.py ADDRESS CERTIFICATE KEY [retry].

With "retry" every client has to prove its address first (RFC 9000, section 8.1.2).
"""

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated


class Server(QuicConnectionProtocol):
    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated) and event.alpn_protocol in H3_ALPN:
            self.http = H3Connection(self._quic)
        if self.http is None:
            return
        for received in self.http.handle_event(event):
            if isinstance(received, HeadersReceived):
                self.http.send_headers(received.stream_id, [(b":status", b"200"), (b"content-type", b"text/plain")])
                self.http.send_data(received.stream_id, b"ok\n", end_stream=True)
                self.transmit()


async def main(address, certificate, key, retry=None):
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    configuration.load_cert_chain(certificate, key)
    await serve(address, 443, configuration=configuration, create_protocol=Server, retry=bool(retry))
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
