"""What the tests share: the captures of the repository, and what the program says of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: All that were recorded, and those in other formats that were made of them.
CAPTURES = sorted(
    path.relative_to(ROOT)
    for path in [*(ROOT / "pcaps").glob("*.pcap"), *(ROOT / "pcaps/derived").iterdir()]
    if path.parent.name == "pcaps" or path.suffix not in (".pcap", ".json")
)


class Said(NamedTuple):
    """What `kaspector scan` says of a capture."""

    answer: dict[str, Any]
    eve: list[str]


def _said(capture: Path) -> Said:
    program = os.environ["KASPECTOR_PROGRAM"]
    with tempfile.TemporaryDirectory() as folder:
        eve = Path(folder, "eve.json")
        command = [program, "scan", "--quiet", "--format", "json", "--eve", str(eve), str(capture)]
        output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        return Said(json.loads(output.stdout), eve.read_text().splitlines())


@pytest.fixture(scope="session")
def said() -> dict[Path, Said]:
    """By the path from the root of the repository, which is the working directory."""
    assert len(CAPTURES) > 80
    os.chdir(ROOT)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(CAPTURES, pool.map(_said, CAPTURES)))
