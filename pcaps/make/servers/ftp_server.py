"""A file server for everybody, at ports 21 and 2121: ftp_server.py ADDRESS FOLDER."""

import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

address, folder = sys.argv[1:]
authorizer = DummyAuthorizer()
authorizer.add_anonymous(folder)
FTPHandler.authorizer = authorizer
FTPHandler.banner = "laboratory"
other = FTPServer((address, 2121), FTPHandler)
FTPServer((address, 21), FTPHandler).serve_forever()
