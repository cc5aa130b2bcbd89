"""Waits for a call, then connects to the caller by TLS, as a network agent does: UDP-PORT TCP-PORT."""

import socket
import ssl
import sys

listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", int(sys.argv[1])))
_, (caller, _) = listener.recvfrom(2048)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with socket.create_connection((caller, int(sys.argv[2])), timeout=5) as connection:
        with context.wrap_socket(connection) as session:
            session.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while session.recv(4096):
                pass
except OSError as error:
    print(error)
