"""Items of one container within one transaction: create, upsert, read, replace, patch, delete (rule 5)."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from emulators.cosmos.catalogue import Container, new_etag
from emulators.cosmos.database import Connection
from emulators.cosmos.errors import CosmosError, bad, changed_meanwhile, not_found, unknown
from emulators.cosmos.indexing import index_item
from emulators.cosmos.keys import Scalar, check_same
from emulators.cosmos.patching import apply_patch
from emulators.cosmos.values import DEEPEST, UNDEFINED, Object, Value, at, depth

_LARGEST = 2 * 1024 * 1024
_LONGEST_ID = 1023
_SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts", "_lsn")


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation did.

    Attributes:
        status: as HTTP says it.
        body: the item as it is now; empty after a deletion.
        etag: of the item as it is now.
        charge: in request units, an estimate (rule 10).
    """

    status: int
    body: bytes
    etag: str
    charge: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """The headers If-Match and If-None-Match, or their like in a batch."""

    match: str | None = None
    none_match: str | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    key: int
    etag: str
    body: str


class Documents:
    """The items of one logical partition, as one transaction sees them.

    Args:
        key: the partition key that the request names.
        now: seconds since 1970.
    """

    def __init__(self, connection: Connection, container: Container, key: Sequence[Scalar], now: int) -> None:
        self._connection = connection
        self._container = container
        self._definition = container.definition
        self._key = key
        self._now = now
        self._lsn = 0
        self.epk = self._definition.key.epk(key)

    def create(self, document: Object) -> Done:
        name = self._accept(document)
        if self._find(name):
            raise _conflict()
        return self._insert(name, document)

    def upsert(self, document: Object, conditions: Conditions) -> Done:
        name = self._accept(document)
        row = self._find(name)
        if row:
            _check(row, conditions)
            return self._update(row, name, document)
        if conditions.match or conditions.none_match:
            raise unknown("what an upsert with a condition does where there is no item")
        return self._insert(name, document)

    def read(self, name: str, conditions: Conditions) -> Done:
        row = self._get(name)
        if conditions.match:
            raise unknown("If-Match on a read")
        if conditions.none_match == row.etag:
            return Done(HTTPStatus.NOT_MODIFIED, b"", row.etag, 1.0)
        return Done(HTTPStatus.OK, row.body.encode(), row.etag, read_charge(len(row.body)))

    def replace(self, name: str, document: Object, conditions: Conditions) -> Done:
        if self._accept(document) != name:
            raise bad("The id of the item is not that of the path.")
        row = self._get(name)
        _check(row, conditions)
        return self._update(row, name, document)

    def patch(self, name: str, patch: Object, conditions: Conditions) -> Done:
        row = self._get(name)
        _check(row, conditions)
        document: Object = orjson.loads(row.body)
        fixed = [*self._definition.key.paths, ("id",), *((name,) for name in _SYSTEM)]
        return self._update(row, name, apply_patch(document, patch, fixed))

    def delete(self, name: str, conditions: Conditions) -> Done:
        row = self._get(name)
        _check(row, conditions)
        self._connection.execute("DELETE FROM items WHERE key = ?", (row.key,))
        self._next_lsn()
        return Done(HTTPStatus.NO_CONTENT, b"", row.etag, write_charge(len(row.body)))

    def _accept(self, document: Object) -> str:
        """Return the id of a document that may be stored under this key."""
        name = item_id(document.get("id"))
        check_same(self._key, self._definition.key.of_document(document))
        if depth(document) > DEEPEST:
            raise bad(f"An item may have {DEEPEST} levels at most.")
        return name

    def _get(self, name: str) -> _Row:
        row = self._find(item_id(name))
        if row is None:
            raise not_found()
        return row

    def _find(self, name: str) -> _Row | None:
        sql = "SELECT key, etag, body, expires FROM items WHERE container = ? AND epk = ? AND id = ?"
        found = self._connection.execute(sql, (self._container.key, self.epk, name)).fetchone()
        if found is None or (found[3] is not None and found[3] <= self._now):
            return None
        return _Row(*found[:3])

    def _insert(self, name: str, document: Object) -> Done:
        self._connection.execute(
            "DELETE FROM items WHERE container = ? AND epk = ? AND id = ?",  # one that had expired
            (self._container.key, self.epk, name),
        )
        sql = "INSERT INTO items (container, epk, id, etag, lsn, ts, body) VALUES (?, ?, ?, '', 0, 0, '')"
        self._connection.execute(sql, (self._container.key, self.epk, name))
        return self._store(self._connection.last_insert_rowid(), document, HTTPStatus.CREATED)

    def _update(self, row: _Row, name: str, document: Object) -> Done:
        item_id(name)
        return self._store(row.key, document, HTTPStatus.OK)

    def _store(self, key: int, document: Object, status: int) -> Done:
        etag, expires = new_etag(self._now), self._expiry(document)
        body = orjson.dumps(self._complete(document, key, etag))
        if len(body) > _LARGEST:
            raise CosmosError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request size is too large.")
        self._connection.execute(
            "UPDATE items SET etag = ?, lsn = ?, ts = ?, expires = ?, body = ? WHERE key = ?",
            (etag, self._next_lsn(), self._now, expires, body.decode(), key),
        )
        if self._definition.unique:
            self._keep_unique(key, document)
        if self._definition.embeddings or self._definition.full_text_indexed:
            index_item(self._connection, self._container.key, self._definition, (key, self.epk), document)
        replaced = 2 if status == HTTPStatus.OK else 1  # rule 10: a replace costs about twice as much as an insert
        return Done(status, body, etag, replaced * write_charge(len(body)))

    def _complete(self, document: Object, key: int, etag: str) -> Object:
        """Add what the service adds; what the client sent of it is overwritten."""
        given = {name: value for name, value in document.items() if name not in _SYSTEM}
        owner = base64.b64decode(self._container.rid, b"+-")
        rid = base64.b64encode(owner + key.to_bytes(8, "little"), b"+-").decode()
        link = f"{self._container.body['_self']}docs/{rid}/"
        return {**given, "_rid": rid, "_self": link, "_etag": etag, "_attachments": "attachments/", "_ts": self._now}

    def _expiry(self, document: Object) -> int | None:
        """Return when the item ends; its own `ttl` counts only where the container has one (rule 13)."""
        own = document.get("ttl", UNDEFINED)
        if own is not UNDEFINED and (not isinstance(own, int) or isinstance(own, bool) or (own != -1 and own < 1)):
            raise bad("ttl must be -1 or a positive number of seconds.")
        default = self._definition.ttl
        seconds = default if own is UNDEFINED else own
        return None if default is None or seconds is None or seconds == -1 else self._now + int(seconds)

    def _keep_unique(self, key: int, document: Object) -> None:
        """Hold the unique keys, which count within one logical partition; a missing value counts as null.

        https://learn.microsoft.com/azure/cosmos-db/unique-keys
        """
        self._connection.execute("DELETE FROM unique_values WHERE item = ?", (key,))
        for number, paths in enumerate(self._definition.unique):
            values = [_defined(at(document, path)) for path in paths]
            place = (self._container.key, self.epk, number, orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode())
            self._connection.execute(
                "DELETE FROM items WHERE expires <= ? AND key IN (SELECT item FROM unique_values"
                " WHERE container = ? AND epk = ? AND number = ? AND value = ?)",
                (self._now, *place),
            )
            sql = "SELECT 1 FROM unique_values WHERE container = ? AND epk = ? AND number = ? AND value = ?"
            if self._connection.execute(sql, place).fetchone():
                raise _conflict()
            self._connection.execute("INSERT INTO unique_values VALUES (?, ?, ?, ?, ?)", (*place, key))

    def _next_lsn(self) -> int:
        """Return the number of this transaction, which all its writes share (rule 9)."""
        if not self._lsn:
            sql = "UPDATE containers SET lsn = lsn + 1 WHERE key = ? RETURNING lsn"
            (self._lsn,) = self._connection.execute(sql, (self._container.key,)).fetchone()
        return self._lsn


def item_id(value: Value) -> str:
    """Return an item's id.

    Raises:
        CosmosError: 400: it is missing, is too long, or has characters that no path can hold (rules 5 and 13).
    """
    if not isinstance(value, str) or not value:
        raise bad("The item has no id, and the SDK makes none.")
    if len(value.encode()) > _LONGEST_ID:
        raise bad(f"An id may have {_LONGEST_ID} bytes at most.")
    if any(sign in value for sign in "/\\#?\t\r\n") or value.endswith(" "):
        raise bad("An id may not have / \\ # ?, a tab, a line break, or a space at its end.")
    return value


def current_lsn(connection: Connection, container: Container) -> int:
    row = connection.execute("SELECT lsn FROM containers WHERE key = ?", (container.key,)).fetchone()
    if row is None:
        raise not_found()
    return int(row[0])


def read_charge(size: int) -> float:
    """Estimate a read: 1 RU up to 10 KB, one more for each further 10 KB (rule 10)."""
    return float(max(1, math.ceil(size / 10_240)))


def write_charge(size: int) -> float:
    """Estimate a write: 5.5 RU for each KB (rule 10)."""
    return 5.5 * max(1, math.ceil(size / 1024))


def _defined(value: Value) -> object:
    return None if value is UNDEFINED else value


def _check(row: _Row, conditions: Conditions) -> None:
    if conditions.none_match:
        raise unknown("If-None-Match on a write of an item that exists")
    if conditions.match not in (None, "*", row.etag):
        raise changed_meanwhile()


def _conflict() -> CosmosError:
    return CosmosError(HTTPStatus.CONFLICT, "Entity with the specified id already exists in the system.")
