"""A mail server for tests, on aiosmtpd: mail_server.py PORT FOLDER SECURITY [CERTIFICATE KEY].

SECURITY is none, starttls or tls; with TLS it wants the user "sensor" with the password "s3cret". A mail is a file of the folder, after
its number. It refuses whoever is called refused@..., and asks to come again later the first time for later@.... Where the folder has a
file "die", it takes one mail and ends before it says so.
"""
import os
import ssl
import sys
import time
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, folder, security = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@") and not (folder / "came").exists():
            (folder / "came").touch()
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        number = len(list(folder.glob("*.eml")))
        head = "".join(f"X-To: {to}\r\n" for to in envelope.rcpt_tos) + f"X-Tls: {session.ssl is not None}\r\n"
        (folder / "part").write_bytes(head.encode() + envelope.content)
        (folder / "part").rename(folder / f"{number}.eml")
        if (folder / "die").exists():
            (folder / "die").unlink()
            os._exit(1)
        return "250 OK"


def known(server, session, envelope, mechanism, login):
    is_right = isinstance(login, LoginPassword) and (login.login, login.password) == (b"sensor", b"s3cret")
    return AuthResult(success=is_right, handled=False)


options = {}
if security != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    options = {"authenticator": known, "auth_required": True}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    else:
        options |= {"ssl_context": context, "auth_require_tls": False}
Controller(Handler(), hostname="127.0.0.1", port=port, **options).start()
while os.getppid() != 1:
    time.sleep(0.1)
