"""The compiled part. Use the names in `kaspector`, not these."""

import os
from typing import Any, Optional, Union, final

from typing_extensions import disjoint_base

__all__ = [
    "CaptureError",
    "Detector",
    "Error",
    "SignatureError",
    "Signatures",
    "__version__",
    "scan_bytes",
    "scan_path",
]

__version__: str

class Error(Exception):
    """Base of what this package raises by itself."""

class CaptureError(Error):
    """A capture that cannot be read, or not to its end."""

class SignatureError(Error):
    """Signature files that cannot be read or are wrong."""

@final
class Signatures:
    """What is looked for: immutable, and shared by any number of detectors.

    `folder` takes the place of the built-in signatures, `extra` adds to them.
    Raises SignatureError with a line for everything that is wrong.
    """

    def __new__(
        cls,
        folder: Optional[Union[str, os.PathLike[str]]] = None,
        *,
        extra: Optional[Union[str, os.PathLike[str]]] = None,
    ) -> Signatures: ...
    @property
    def version(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    def __len__(self) -> int: ...

@disjoint_base
class Detector:
    def __new__(
        cls,
        signatures: Signatures,
        link_type: int,
        seed: Optional[int],
        source: str,
        run: bytes,
    ) -> Detector: ...
    def feed(
        self,
        ts: Any,
        data: Any,
        wire_len: Optional[int] = None,
        link_type: Optional[int] = None,
    ) -> None: ...
    def take_alerts(self) -> str: ...
    def take_answer(self) -> tuple[str, str, Optional[str], bool]: ...

def scan_path(
    path: Union[str, os.PathLike[str]], signatures: Signatures
) -> tuple[str, str, Optional[str], bool]: ...
def scan_bytes(
    content: Any, name: str, signatures: Signatures
) -> tuple[str, str, Optional[str], bool]: ...
