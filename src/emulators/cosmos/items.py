"""Requests about items: single ones, batches, queries, feeds (rules 5 to 9)."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

import orjson

from core import Clock
from emulators.cosmos.answers import Answer, within
from emulators.cosmos.batch import BatchFailed, read_batch, run_batch
from emulators.cosmos.catalogue import Catalogue, Container
from emulators.cosmos.database import Connection, Database
from emulators.cosmos.documents import Conditions, Documents, Done, current_lsn
from emulators.cosmos.errors import CosmosError, bad, unknown
from emulators.cosmos.feeds import changes, check_mode
from emulators.cosmos.keys import Scalar
from emulators.cosmos.queries import Run, read_asked
from emulators.cosmos.requests import Request, page_size
from emulators.cosmos.scope import KEY, query_scope, range_scope
from emulators.cosmos.values import Json, Object, parse, parse_object

_RECREATED, _BEHIND = 1024, 1002

Act = Callable[[Documents], Done]


class Items:
    """What a client asks about the items of a container."""

    def __init__(self, catalogue: Catalogue, database: Database, clock: Clock) -> None:
        self._catalogue = catalogue
        self._database = database
        self._clock = clock
        self.single = {"GET": self.read, "PUT": self.replace, "PATCH": self.patch, "DELETE": self.delete}

    async def create(self, request: Request) -> Answer:
        """Create; If-None-Match is known here and not acted on, as the SDK says (rule 5)."""
        document = parse_object(request.body)
        return await self._write(request, lambda documents: documents.create(document))

    async def upsert(self, request: Request) -> Answer:
        document, conditions = parse_object(request.body), _conditions(request)
        return await self._write(request, lambda documents: documents.upsert(document, conditions))

    async def replace(self, request: Request) -> Answer:
        document, conditions, name = parse_object(request.body), _conditions(request), request.parts[5]
        return await self._write(request, lambda documents: documents.replace(name, document, conditions))

    async def patch(self, request: Request) -> Answer:
        patch, conditions, name = parse_object(request.body), _conditions(request), request.parts[5]
        return await self._write(request, lambda documents: documents.patch(name, patch, conditions))

    async def delete(self, request: Request) -> Answer:
        conditions, name = _conditions(request), request.parts[5]
        return await self._write(request, lambda documents: documents.delete(name, conditions))

    async def read(self, request: Request) -> Answer:
        container, key = self._addressed(request)
        conditions, name, now = _conditions(request), request.parts[5], self._now()

        def work(connection: Connection) -> Answer:
            lsn = _check_session(request, connection, container)
            documents = Documents(connection, container, key, now)
            return _point(container, documents, documents.read(name, conditions), lsn)

        return await self._database.read(work)

    async def batch(self, request: Request) -> Answer:
        operations = read_batch(parse(request.body), len(request.body))
        if "prefer" in request.headers:
            raise unknown("a batch whose answer is to be minimal")
        container, key = self._addressed(request)
        now = self._now()

        def work(connection: Connection) -> Answer:
            _check_session(request, connection, container)
            documents = Documents(connection, container, key, now)
            done = run_batch(documents, operations)
            return _batched(container, documents, done.results, HTTPStatus.OK, done.charge, connection)

        try:
            return await self._database.write(work)
        except BatchFailed as failed:
            results = failed.results

            def look(connection: Connection) -> Answer:
                documents = Documents(connection, container, key, now)
                return _batched(container, documents, results, HTTPStatus.MULTI_STATUS, 1.0, connection)

            return await self._database.read(look)

    async def query(self, request: Request) -> Answer:
        container = self._container(request)
        asked = read_asked(parse_object(request.body), page_size(request), request.headers.get("x-ms-continuation"))
        scope, now = query_scope(request.headers, container), self._now()

        def work(connection: Connection) -> Answer:
            lsn = _check_session(request, connection, container)
            page = Run(connection, container, scope, asked, now).page()
            headers = within(container, scope.part, lsn, page.charge)
            return _feed(container, page.rows, headers | ({"x-ms-continuation": page.token} if page.token else {}))

        return await self._database.read(work)

    async def plan(self, _: Request) -> Answer:
        """Refuse: only a query over several partitions needs a plan, and data of tenants needs no such query."""
        raise unknown("query plans: give the query a partition key or a prefix of one")

    async def changes(self, request: Request) -> Answer:
        check_mode(request.headers)
        container = self._container(request)
        if KEY in request.headers:
            raise bad("A change feed takes a range and an interval, not a partition key.")
        scope, most, now = range_scope(request.headers, container), page_size(request), self._now()

        def work(connection: Connection) -> Answer:
            lsn = _check_session(request, connection, container)
            found = changes(connection, container, scope, request.headers, most, now)
            headers = within(container, scope.part, lsn, 1.0 + len(found.rows), found.etag)
            if not found.rows:
                return Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
            return _feed(container, found.rows, headers)

        return await self._database.read(work)

    async def every(self, _: Request) -> Answer:
        """Refuse: reading all items has no key, so it crosses all tenants (rule 9)."""
        raise unknown("reading all items of a container: query with a partition key")

    async def _write(self, request: Request, act: Act) -> Answer:
        container, key = self._addressed(request)
        now = self._now()

        def work(connection: Connection) -> tuple[Answer, str]:
            documents = Documents(connection, container, key, now)
            done = act(documents)
            return _point(container, documents, done, current_lsn(connection, container)), ""

        answer, _ = await self._database.write(work)
        if request.headers.get("prefer") == "return=minimal":
            return Answer(answer.status, b"", answer.headers)
        return answer

    def _addressed(self, request: Request) -> tuple[Container, Sequence[Scalar]]:
        container = self._container(request)
        if KEY not in request.headers:
            raise bad("The request names no partition key.")
        return container, container.definition.key.of_header(request.headers[KEY])

    def _container(self, request: Request) -> Container:
        """Return the container that the request is about, if it is still the one that the client knows.

        Raises:
            CosmosError: 404; 400/1024 where it was made anew since (rule 1).
        """
        container = self._catalogue.container(request.parts[1], request.parts[3], owner=True)
        if request.headers.get("x-ms-cosmos-intended-collection-rid", container.rid) != container.rid:
            raise bad("The container was deleted and created again.", _RECREATED)
        return container

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _conditions(request: Request) -> Conditions:
    return Conditions(request.headers.get("if-match"), request.headers.get("if-none-match"))


def _check_session(request: Request, connection: Connection, container: Container) -> int:
    """Return how far the container is, if that is as far as the client's session (rule 10).

    Raises:
        CosmosError: 404/1002.
    """
    lsn = current_lsn(connection, container)
    told = request.headers.get("x-ms-session-token", "")
    if any(int(part.rpartition("#")[2]) > lsn for part in told.split(",") if part):
        message = "The read session is not available for the input session token."
        raise CosmosError(HTTPStatus.NOT_FOUND, message, substatus=_BEHIND)
    return lsn


def _point(container: Container, documents: Documents, done: Done, lsn: int) -> Answer:
    part = container.range_of(documents.epk)
    return Answer(done.status, done.body, within(container, part, lsn, done.charge, done.etag))


def _batched(
    container: Container, documents: Documents, results: list[Json], status: int, charge: float, connection: Connection
) -> Answer:
    part = container.range_of(documents.epk)
    headers = within(container, part, current_lsn(connection, container), charge)
    return Answer(status, orjson.dumps(results), headers)


def _feed(container: Container, rows: list[Json], headers: dict[str, str]) -> Answer:
    body: Object = {"_rid": container.rid, "Documents": rows, "_count": len(rows)}
    return Answer(HTTPStatus.OK, orjson.dumps(body), {**headers, "x-ms-item-count": str(len(rows))})
