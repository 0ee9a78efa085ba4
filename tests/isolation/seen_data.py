"""What a tenant has, read past the product from the file itself; and what of it may never be seen elsewhere."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import LiteralString, cast

import apsw
import orjson

from core import ID_PATTERN, TenantId
from data.sqlite.connections import Connection
from emulators.cosmos.keys import KeyDefinition
from mandate.local.kept import FILES

ID = re.compile(ID_PATTERN)

Matrix = dict[str, Counter[str]]
"""How often each kind of attack was refused, by what was attacked."""

Dump = dict[str, list[tuple[object, ...]]]


_ITEMS = """
SELECT containers.id, items.key, items.etag, items.expires, items.body
FROM containers JOIN items ON items.container = containers.key AND items.epk >= ?1 AND items.epk < ?1 || 'G'
ORDER BY items.key
"""
_TENANT = KeyDefinition((("tenant",), ("more",)), "MultiHash")


def dump(database: Path, tenant: TenantId) -> Dump:
    """Return every row of the tenant in every table, those of full text and vectors included.

    Args:
        database: the product's own file, or the one in which the emulator of Cosmos DB keeps its documents.
        tenant: whose.
    """
    connection = cast("Connection", apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY))
    try:
        with connection:
            return (
                _of_cosmos(connection, tenant) if database.name == FILES["cosmos"] else _of_sqlite(connection, tenant)
            )
    finally:
        connection.close()


def _of_cosmos(connection: Connection, tenant: TenantId) -> Dump:
    """Return the documents under the names of the tables that hold the same, and what is derived from each."""
    found: Dump = {}
    for container, key, etag, expires, body in list(connection.execute(_ITEMS, (_TENANT.epk([tenant]),))):
        document = orjson.loads(body)
        row = (key, etag, expires, *(_plain(container, name, value) for name, value in document.items()))
        found.setdefault(_table(container, document), []).append(row)
        for table in ("vectors", "texts", "postings", "unique_values"):
            if rows := list(connection.execute(f"SELECT * FROM {table} WHERE item = ?", (key,))):
                found.setdefault(table, []).extend(rows)
    return found


def _table(container: str, document: Mapping[str, object]) -> str:
    if container == "views":
        return "view_rows"
    return "governed" if container == "records" and document["kind"] == "governed" else container


def _plain(container: str, name: str, value: object) -> object:
    if not isinstance(value, str) or name != "data":
        return value
    return base64.b64decode(value) if container == "content" else value.encode()


def _of_sqlite(connection: Connection, tenant: TenantId) -> Dump:
    tables: list[LiteralString] = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    return {table: rows for table in sorted(tables) if (rows := _rows(connection, table, tenant))}


def _rows(connection: Connection, table: LiteralString, tenant: TenantId) -> list[tuple[object, ...]]:
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    if "tenant" in columns:
        return sorted(connection.execute(f'SELECT * FROM "{table}" WHERE tenant = ?', (tenant,)), key=repr)
    if table.startswith(f"search_{tenant}_"):  # the shadow tables in which FTS5 keeps a tenant's words
        return sorted(connection.execute(f'SELECT * FROM "{table}"'), key=repr)
    return []


def ids_in(data: Dump, *others: Dump) -> set[str]:
    """Return every id that occurs in `data` and in none of `others`."""
    found = set(ID.findall(_text(data)))
    return found.difference(*(ID.findall(_text(other)) for other in others))


def _text(data: Dump) -> str:
    return " ".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for rows in data.values()
        for row in rows
        for value in row
    )


def refusals(database: Path, tenant: TenantId) -> Counter[str]:
    """Return how often the tenant's access logs say that each operation was refused."""
    found: Counter[str] = Counter()
    for row in dump(database, tenant).get("events", []):
        for body in _refusals(row):
            found[body["operation"]] += int(body["count"])
    return found


def _refusals(row: Iterable[object]) -> list[dict[str, str]]:
    bodies = [orjson.loads(value)["body"] for value in row if isinstance(value, bytes)]
    return [body for body in bodies if body["type"] == "access_refused"]
