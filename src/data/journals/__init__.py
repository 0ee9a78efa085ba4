"""Where erasures are noted, apart from the store and its backups: a file of this machine, or immutable blobs."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from core.errors import Unavailable


class FileJournal:
    """A file that only its owner reads, a line each."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def note(self, _: str, line: bytes) -> None:
        try:
            await asyncio.to_thread(_append, self._file, line)
        except OSError:
            raise unreachable() from None

    async def lines(self) -> Sequence[bytes]:
        try:
            return await asyncio.to_thread(_read, self._file)
        except OSError:
            raise unreachable() from None


def _append(file: Path, line: bytes) -> None:
    file.touch(mode=0o600)
    with file.open("ab") as opened:
        opened.write(line + b"\n")
        opened.flush()
        os.fsync(opened.fileno())


def _read(file: Path) -> list[bytes]:
    """Return what the file has; a last line that a crash cut short was never acknowledged."""
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []


def unreachable() -> Unavailable:
    """Return what a journal raises that cannot be reached."""
    message = "The journal of erasures cannot be reached, so nothing is erased now. Try again."
    return Unavailable(message, code="dependency.journal")
