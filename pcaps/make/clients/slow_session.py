"""Requests in one connection with a pause before each but the first: slow_session.py SECONDS URL..."""

import sys
import time

import requests
import urllib3

urllib3.disable_warnings()
pause, *urls = sys.argv[1:]
with requests.Session() as session:
    session.verify = False
    session.trust_env = False
    for number, url in enumerate(urls):
        if number:
            time.sleep(float(pause))
        print(session.get(url, timeout=10).status_code)
