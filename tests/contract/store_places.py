"""Where the contract tests of the stores run: one place for each adapter."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data import Store
from data.sqlite import open_store


class Place(Protocol):
    """Somewhere that data stays when the store is closed; may be open more than once, as by several processes."""

    def open(self) -> AbstractAsyncContextManager[Store]: ...


@dataclass(frozen=True)
class SqlitePlace:
    path: Path

    def open(self) -> AbstractAsyncContextManager[Store]:
        return open_store(self.path)
