#!/usr/bin/env bash
# zat stops at the first #close of a Zeek log.
#
# Package:  zat 0.4.9
# Expected: two rows: rotated logs that were joined have a header and a #close each, and parsezeeklogs reads both
# Seen:     the first row alone, no error
# So:       a month of joined logs is read as its first hour; give zat one file at a time
#
# Needs python3 with venv, and a package index. Exits with 0 as long as it is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'zat==0.4.9' 'pandas==3.1.1'
cat >run.py <<'PYTHON'
HEADER = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#open\t2026-11-01-00-00-00
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\torig_bytes\tresp_bytes
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tcount\tcount
"""
CLOSE = "#close\t2026-11-01-01-00-00\n"


def row(uid, orig_bytes, resp_bytes):
    return f"1761955200.000001\t{uid}\t10.0.0.1\t1000\t10.0.0.2\t443\ttcp\t{orig_bytes}\t{resp_bytes}\n"

with open("conn.log", "w") as file:
    file.write(HEADER + row("Cfirst", "10", "20") + CLOSE + HEADER + row("Csecond", "30", "40") + CLOSE)

from zat.zeek_log_reader import ZeekLogReader

seen = [read["uid"] for read in ZeekLogReader("conn.log").readrows()]

expected, known = ["Cfirst", "Csecond"], ["Cfirst"]
print("seen:", seen)
if seen == known:
    print("as described:", seen, "where", expected, "is right")
else:
    raise SystemExit(f"changed: {seen}; right is {expected}, described is {known}")
PYTHON
venv/bin/python run.py
