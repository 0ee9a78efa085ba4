"""Style and script: read once, served under a name that changes with them, so that browsers keep them for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core import digest

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    data: bytes
    media_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return all files by name."""
    files = sorted(path for path in _FOLDER.iterdir() if path.suffix in _TYPES)
    return {path.name: Asset(path.read_bytes(), _TYPES[path.suffix]) for path in files}


@cache
def version() -> str:
    """Return what stands for all files together: scripts that import each other stay of one version."""
    return digest(b"\0".join(asset.data for asset in assets().values()))[:16]


def address(name: str) -> str:
    """Return where a page finds a file.

    Raises:
        KeyError: there is no such file.
    """
    return f"/static/{version()}/{name}" if assets()[name] else ""
