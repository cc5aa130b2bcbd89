"""Hands a message over in two chunks (RFC 3030), header and body: bdat_session.py ADDRESS GREETING FILE."""

import smtplib
import sys

address, greeting, path = sys.argv[1:]
with open(path, "rb") as file:
    message = file.read()
client = smtplib.SMTP(address, 25, local_hostname=greeting)
client.ehlo()
client.mail("a@corp.example")
client.rcpt("b@mail.example")
border = message.index(b"\r\n\r\n") + 4
for chunk, last in ((message[:border], ""), (message[border:], " LAST")):
    client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
    client.getreply()
client.quit()
