"""The journal of one tenant's writes: JSON lines, on disk before anybody hears of them."""

import os
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from core.errors import Defect

Kind = Literal["ticket", "ticket_closure", "refund", "refund_cancellation", "email", "customer_deletion"]


class Entry(BaseModel):
    """One write that reached the back office.

    Attributes:
        number: 1 for the tenant's first.
        outcome: `refused` where the write was turned down: nothing changed, but it was tried.
        payload: what was asked, as it was asked.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    number: int
    kind: Kind
    outcome: Literal["done", "refused"]
    at: str
    idempotency_key: str | None
    run: str | None
    payload: dict[str, str | int | None]


class Journal:
    """An append-only file. Blocking: its owner calls it from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path` and read what it holds.

        The last line may have been torn by a kill in mid-write: it was never answered for and is cut off.

        Raises:
            Defect: another line cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        self.entries = [_read(line, number) for number, line in enumerate(whole.splitlines(), 1)]
        os.truncate(path, len(whole))
        _sync_folder(path.parent)
        self._path = path

    def append(self, entry: Entry) -> None:
        """Write `entry` and wait until it is on disk."""
        with self._path.open("ab") as file:
            file.write(orjson.dumps(entry.model_dump()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(entry)


def _read(line: bytes, number: int) -> Entry:
    try:
        entry = Entry.model_validate_json(line)
    except ValueError as error:
        raise Defect(f"Line {number} of a back office journal cannot be read.", code="defect.journal") from error
    if entry.number != number:
        raise Defect(f"Line {number} of a back office journal is out of order.", code="defect.journal")
    return entry


def _sync_folder(folder: Path) -> None:
    """Put the file's name on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
