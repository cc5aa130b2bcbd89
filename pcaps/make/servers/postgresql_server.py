"""The beginning of a PostgreSQL server: agrees to TLS, then goes away. postgresql_server.py ADDRESS CERTIFICATE KEY."""

import socketserver
import ssl
import sys

address, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)


class Beginning(socketserver.BaseRequestHandler):
    def handle(self):
        # SSLRequest: its length and the code 80877103.
        if self.request.recv(8, 0x100) == bytes.fromhex("0000000804d2162f"):  # MSG_WAITALL
            self.request.sendall(b"S")
            with context.wrap_socket(self.request, server_side=True) as secured:
                secured.recv(1024)


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((address, 5432), Beginning).serve_forever()
