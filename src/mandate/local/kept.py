"""The store that a product on this machine keeps, opened, copied and tampered with past the product."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString, cast

import apsw  # mandate: allow[tenant-handle] - copies of whole files, for the operator on the machine

from core.errors import NotFound
from data import Store
from data.sqlite import open_store
from emulators.cosmos import open_emulator
from mandate.local.stack import StoreKind
from mandate.settings import ROOT

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

    from data.sqlite.connections import Connection

FILES: Mapping[StoreKind, str] = {"sqlite": "mandate.db", "cosmos": "cosmos.db"}

_TAMPER: Mapping[StoreKind, LiteralString] = {
    "sqlite": "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), ?1, ?2) AS BLOB)"
    " WHERE run = ?3 AND seq = ?4 AND instr(CAST(data AS TEXT), ?1) > 0",
    "cosmos": "UPDATE items SET body = json_set(body, '$.data', replace(body ->> '$.data', ?1, ?2))"
    " WHERE body ->> '$.run' = ?3 AND body ->> '$.seq' = ?4 AND instr(body ->> '$.data', ?1) > 0",
}


@asynccontextmanager
async def open_kept(folder: Path, store: StoreKind) -> AsyncGenerator[Store]:
    """Open the store of a product that is stopped; of one on Cosmos DB, whose emulator may run, a copy.

    Raises:
        NotFound: there is none.
    """
    path = folder / FILES[store]
    if not path.exists():
        raise NotFound(f"There is no store at {path}. Start the product once, or name its folder with --folder.")
    if store == "sqlite":
        async with open_store(path) as opened:
            yield opened
        return
    with tempfile.TemporaryDirectory() as copy:
        await asyncio.to_thread(_copy, path, Path(copy) / path.name)
        async with _open_cosmos(Path(copy)) as opened:
            yield opened


@asynccontextmanager
async def _open_cosmos(folder: Path) -> AsyncGenerator[Store]:
    """Serve the emulator's file in this process, to nobody else, and open the store in it."""
    from data.cosmos import Account, Containers
    from data.cosmos import open_store as open_cosmos

    os.environ.setdefault("MANDATE_ENVIRONMENT", "local")
    async with open_emulator(folder) as running:
        account = Account(running.url, _Anybody(), Containers.load(ROOT / "environments"))
        async with open_cosmos(account) as opened:
            yield opened


class _Anybody:
    """A credential for an emulator that asks for no more than that there is one."""

    async def get_token(self, *_: str, **__: object) -> "AccessToken":
        from azure.core.credentials import AccessToken

        return AccessToken("anybody", int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "_Anybody":
        return self

    async def __aexit__(self, exc_type: object = None, exc_value: object = None, traceback: object = None) -> None: ...


def copy_store(folder: Path, copy: Path, store: StoreKind) -> None:
    """Copy the store of a product that is stopped, as its disk has it. Blocking."""
    copy.mkdir()
    if store == "cosmos":
        _copy(folder / FILES[store], copy / FILES[store])
        return
    for file in folder.glob(f"{FILES[store]}*"):
        shutil.copy2(file, copy)


def tamper(folder: Path, store: StoreKind, run: str, seq: int, old: str, new: str) -> int:
    """Rewrite one stored event past the product, as who owns the disk could; return how many rows changed. Blocking."""
    with closing(cast("Connection", apsw.Connection(str(folder / FILES[store])))) as connection:
        connection.execute(_TAMPER[store], (old, new, run, seq))
        return connection.changes()


def _copy(file: Path, copy: Path) -> None:
    """Copy a database that its emulator may be writing to."""
    with (
        closing(apsw.Connection(str(file))) as source,
        closing(apsw.Connection(str(copy))) as target,
        target.backup("main", source, "main") as backup,
    ):
        backup.step()
