"""Answers whatever it is sent with the same: ADDRESS TCP-PORT UDP-PORT."""

import socketserver
import sys
import threading


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        socket.sendto(data, self.client_address)


address, tcp_port, udp_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
socketserver.ThreadingTCPServer.allow_reuse_address = True
stream = socketserver.ThreadingTCPServer((address, tcp_port), Stream)
threading.Thread(target=stream.serve_forever, daemon=True).start()
socketserver.UDPServer((address, udp_port), Datagram).serve_forever()
