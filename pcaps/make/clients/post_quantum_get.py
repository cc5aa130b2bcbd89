"""One HTTPS request with a hybrid post-quantum key share: post_quantum_get.py NAME.

The OpenSSL inside the cryptography package offers X25519MLKEM768 by default, which makes the ClientHello too long for
one segment.
"""

import socket
import sys

from OpenSSL import SSL

name = sys.argv[1]
stream = socket.create_connection((name, 443))
connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), stream)
connection.set_tlsext_host_name(name.encode())
connection.set_connect_state()
connection.do_handshake()
connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
try:
    while connection.recv(4096):
        pass
except (SSL.ZeroReturnError, SSL.SysCallError):
    pass
