"""Sends one datagram: FROM-ADDRESS TO-ADDRESS PORT."""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
    caller.bind((sys.argv[1], 0))
    caller.sendto(b"call\n", (sys.argv[2], int(sys.argv[3])))
