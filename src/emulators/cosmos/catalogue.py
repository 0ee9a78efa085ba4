"""Databases, containers and their physical ranges: rows of the file, and in memory, since every request needs them."""

import base64
import itertools
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus

import apsw
import orjson

from core import Clock
from emulators.cosmos.containers import Definition, read_definition, resource_name
from emulators.cosmos.database import Connection, Database
from emulators.cosmos.errors import CosmosError, bad, not_found, unknown
from emulators.cosmos.values import Object, as_object, check_keys

_OWNER_NOT_FOUND = 1003
_PURGE = "DELETE FROM items WHERE expires <= ?"
_INDEXING: Object = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}
_CONTAINER_LINKS: Object = {
    "_docs": "docs/",
    "_sprocs": "sprocs/",
    "_triggers": "triggers/",
    "_udfs": "udfs/",
    "_conflicts": "conflicts/",
}


@dataclass(frozen=True, slots=True)
class Range:
    """A physical partition: what lies in [low, high) of the line of effective partition keys."""

    id: int
    low: str
    high: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A container as requests meet it.

    Attributes:
        key: its row in the file.
        body: what a read of it answers.
        ranges: its physical partitions now, in order.
        gone: those that were split.
    """

    key: int
    database: str
    definition: Definition
    body: Object
    throughput: Object
    ranges: tuple[Range, ...]
    gone: tuple[Range, ...]

    @property
    def rid(self) -> str:
        return str(self.body["_rid"])

    @property
    def link(self) -> str:
        """The path by names, without slashes around it."""
        return f"dbs/{self.database}/colls/{self.definition.name}"

    def range_of(self, epk: str) -> Range:
        return next(part for part in self.ranges if part.low <= epk < part.high)


class Catalogue:
    """All databases and containers of one file.

    Args:
        splits: where every new container is cut into physical ranges, besides its ends.
    """

    def __init__(self, database: Database, clock: Clock, splits: Sequence[str]) -> None:
        self._database = database
        self._clock = clock
        self._bounds = ["", *sorted(splits), "FF"]
        self._databases: dict[str, Object] = {}
        self._containers: dict[tuple[str, str], Container] = {}

    async def load(self) -> None:
        """Read what the file has, and let go of what has expired."""
        now = int(self._clock.now().timestamp())
        await self._database.write(lambda connection: connection.execute(_PURGE, (now,)))
        databases, containers = await self._database.read(_load)
        self._databases = {str(body["id"]): body for body in databases}
        self._containers = {(found.database, found.definition.name): found for found in containers}

    @property
    def databases(self) -> list[Object]:
        return list(self._databases.values())

    def database(self, name: str) -> Object:
        """Return the body of a database.

        Raises:
            CosmosError: 404.
        """
        if name not in self._databases:
            raise not_found()
        return self._databases[name]

    def containers(self, database: str) -> list[Container]:
        self.database(database)
        return [found for found in self._containers.values() if found.database == database]

    def container(self, database: str, name: str, *, owner: bool = False) -> Container:
        """Return a container; `owner` where what is asked for is inside it.

        Raises:
            CosmosError: 404, with substatus 1003 where the owner is what is missing (rule 4).
        """
        found = self._containers.get((database, name))
        if found is None:
            raise not_found(_OWNER_NOT_FOUND if owner or database not in self._databases else 0)
        return found

    async def create_database(self, body: Object) -> Object:
        check_keys(body, frozenset({"id"}), "The database")
        name = resource_name(body.get("id"))
        if name in self._databases:
            raise _exists()
        rid, stamp = _rid(secrets.token_bytes(4)), int(self._clock.now().timestamp())
        etag = new_etag(stamp)

        def insert(connection: Connection) -> None:
            with _first():
                connection.execute("INSERT INTO databases VALUES (?, ?, ?, ?)", (name, rid, etag, stamp))

        await self._database.write(insert)
        self._databases[name] = _database_body(name, rid, etag, stamp)
        return self._databases[name]

    async def delete_database(self, name: str) -> None:
        self.database(name)
        await self._database.write(lambda connection: connection.execute("DELETE FROM databases WHERE id = ?", (name,)))
        del self._databases[name]
        self._containers = {key: found for key, found in self._containers.items() if found.database != name}

    async def create_container(self, database: str, body: Object, throughput: Object) -> Container:
        parent = self.database(database)
        definition = read_definition(body)
        if (database, definition.name) in self._containers:
            raise _exists()
        full = _container_body(body, str(parent["_rid"]), int(self._clock.now().timestamp()))
        bounds = itertools.pairwise(self._bounds)
        ranges = tuple(Range(number, low, high) for number, (low, high) in enumerate(bounds))

        def insert(connection: Connection) -> int:
            sql = "INSERT INTO containers (database, id, body, throughput) VALUES (?, ?, ?, ?)"
            with _first():
                connection.execute(sql, (database, definition.name, _text(full), _text(throughput)))
            key = connection.last_insert_rowid()
            _insert_ranges(connection, key, ranges)
            return key

        key = await self._database.write(insert)
        return self._keep(Container(key, database, definition, full, throughput, ranges, ()))

    async def replace_container(self, old: Container, body: Object) -> Container:
        """Change what may be changed: indexing, TTL (rule 4: vector settings and keys never).

        Raises:
            CosmosError: 400.
        """
        definition = read_definition(body)
        if definition.full_text_indexed != old.definition.full_text_indexed:
            raise unknown("a full-text index that is added or dropped later")
        fixed = ("name", "key", "unique", "embeddings")
        if any(getattr(definition, name) != getattr(old.definition, name) for name in fixed):
            raise bad("The id, the partition key, the unique keys and the vector embeddings cannot be changed.")
        stamp = int(self._clock.now().timestamp())
        full = {**_container_body(body, "", stamp), "_rid": old.body["_rid"], "_self": old.body["_self"]}

        def update(connection: Connection) -> None:
            connection.execute("UPDATE containers SET body = ? WHERE key = ?", (_text(full), old.key))
            if definition.ttl != old.definition.ttl:
                _date_anew(connection, old.key, definition.ttl)

        await self._database.write(update)
        return self._keep(replace(old, definition=definition, body=full))

    async def replace_throughput(self, old: Container, throughput: Object) -> Container:
        sql = "UPDATE containers SET throughput = ? WHERE key = ?"
        await self._database.write(lambda connection: connection.execute(sql, (_text(throughput), old.key)))
        return self._keep(replace(old, throughput=throughput))

    async def delete_container(self, old: Container) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM containers WHERE key = ?", (old.key,))
        )
        del self._containers[old.database, old.definition.name]

    async def split(self, old: Container, epk: str) -> Container:
        """Cut the range that `epk` lies in at `epk`, as the service does when a partition has grown too large."""
        parent = old.range_of(epk)
        if epk == parent.low:
            raise bad("There is a cut at this place already.")
        number = max(part.id for part in (*old.ranges, *old.gone)) + 1
        parents = (*parent.parents, parent.id)
        fresh = (Range(number, parent.low, epk, parents), Range(number + 1, epk, parent.high, parents))
        await self._database.write(lambda connection: _insert_ranges(connection, old.key, fresh))
        ranges = sorted((*(part for part in old.ranges if part is not parent), *fresh), key=lambda part: part.low)
        return self._keep(replace(old, ranges=tuple(ranges), gone=(*old.gone, parent)))

    def _keep(self, container: Container) -> Container:
        self._containers[container.database, container.definition.name] = container
        return container


def new_etag(stamp: int) -> str:
    """Return an etag, with its quotes, in the form of the service's."""
    return f'"{secrets.token_hex(4)}-0000-0700-0000-{stamp:08x}0000"'


def _load(connection: Connection) -> tuple[list[Object], list[Container]]:
    databases = [_database_body(*row) for row in connection.execute("SELECT id, rid, etag, ts FROM databases")]
    rows = list(connection.execute("SELECT key, database, body, throughput FROM containers ORDER BY key"))
    return databases, [_container(connection, *row) for row in rows]


def _container(connection: Connection, key: int, database: str, body: str, throughput: str) -> Container:
    parsed: Object = orjson.loads(body)
    rows = connection.execute("SELECT id, low, high, parents FROM ranges WHERE container = ? ORDER BY low", (key,))
    ranges = [Range(number, low, high, tuple(orjson.loads(parents))) for number, low, high, parents in rows]
    split = {parent for part in ranges for parent in part.parents}
    return Container(
        key,
        database,
        read_definition(parsed),
        parsed,
        orjson.loads(throughput),
        tuple(part for part in ranges if part.id not in split),
        tuple(part for part in ranges if part.id in split),
    )


def _insert_ranges(connection: Connection, container: int, ranges: Sequence[Range]) -> None:
    for part in ranges:
        row = (container, part.id, part.low, part.high, orjson.dumps(part.parents).decode())
        connection.execute("INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", row)


def _date_anew(connection: Connection, container: int, ttl: int | None) -> None:
    """Let the items of a container end by its new TTL, which counts from their last change (rule 13)."""
    sql = (
        "UPDATE items SET expires = ts + nullif(coalesce(json_extract(body, '$.ttl'), ?), -1) WHERE container = ?"
        if ttl is not None
        else "UPDATE items SET expires = NULL WHERE ? IS NULL AND container = ?"
    )
    connection.execute(sql, (ttl, container))


def _database_body(name: str, rid: str, etag: str, stamp: int) -> Object:
    links: Object = {"_colls": "colls/", "_users": "users/"}
    return {"id": name, "_rid": rid, "_self": f"dbs/{rid}/", "_etag": etag, "_ts": stamp, **links}


def _container_body(body: Object, parent: str, stamp: int) -> Object:
    given = {name: value for name, value in body.items() if not name.startswith("_")}
    rid = _rid(base64.b64decode(parent, b"+-") + secrets.token_bytes(4))
    own: Object = {"_rid": rid, "_self": f"dbs/{parent}/colls/{rid}/", "_etag": new_etag(stamp), "_ts": stamp}
    indexing = {**_INDEXING, **as_object(given.get("indexingPolicy", {}), "indexingPolicy")}
    return {**given, "indexingPolicy": indexing, **own, **_CONTAINER_LINKS}


def _rid(data: bytes) -> str:
    return base64.b64encode(data, b"+-").decode()


def _text(value: Object) -> str:
    return orjson.dumps(value).decode()


@contextmanager
def _first() -> Generator[None]:
    """Tell whoever comes second at the same moment the same as whoever comes later."""
    try:
        yield
    except apsw.ConstraintError as error:
        raise _exists() from error


def _exists() -> CosmosError:
    return CosmosError(HTTPStatus.CONFLICT, "Resource with specified id or name already exists.")
