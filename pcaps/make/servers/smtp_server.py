"""A mail server with STARTTLS that throws every message away: smtp_server.py ADDRESS CERTIFICATE KEY."""

import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

address, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
Controller(Sink(), hostname=address, port=25, tls_context=context, server_hostname="mail.example", ident="laboratory").start()
while True:
    time.sleep(3600)
