"""Takes connections, reads what comes first, and resets them, as a filter does that read a name in it: ADDRESS PORT."""

import socket
import struct
import sys

server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
