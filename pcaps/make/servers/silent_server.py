"""A server that listens and never says a word: silent_server.py ADDRESS PORT."""

import socket
import sys

address, port = sys.argv[1:]
listener = socket.create_server((address, int(port)))
while True:
    connection, _ = listener.accept()
    while connection.recv(4096):
        pass
    connection.close()
