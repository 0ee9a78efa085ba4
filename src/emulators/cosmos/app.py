"""The server: from a request to an operation, with authorisation and faults around it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from starlette.types import Receive, Scope, Send

from core import Clock, SystemClock
from core.errors import MandateError
from emulators.cosmos.account import Account
from emulators.cosmos.answers import Answer, answer, refused
from emulators.cosmos.catalogue import Catalogue
from emulators.cosmos.database import Database
from emulators.cosmos.errors import CosmosError, bad
from emulators.cosmos.faults import Faults, Operation, read_fault
from emulators.cosmos.items import Items
from emulators.cosmos.requests import Request, bearer, check_headers, split_path
from emulators.cosmos.values import Object, parse_object
from emulators.local_only import refuse_outside_local

Authorize = Callable[[str], Awaitable[bool]]
"""Checks a bearer token; returns whether its owner may make databases and containers, raises if they may do nothing."""

Act = Callable[[Request], Awaitable[Answer]]

DROP = "mandate.drop"
"""Where the connection's own end stands in a scope: see `server.py`."""

_LARGEST_BODY = 4 * 1024 * 1024
_READ_SECONDS = 30.0
_ITEM: Mapping[str, Operation] = {"GET": "read", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}


class CosmosEmulator:
    """The ASGI application. `async with` it: it holds a file and threads.

    Args:
        path: the file; made if it is not there.
        authorize: checks bearer tokens; without it, any token will do and may do anything.
        clock: dates items and ends them.
        splits: effective partition keys at which new containers are cut into physical ranges.

    Attributes:
        faults: what shall go wrong.
        counts: how many requests of each operation came.
        bytes: how many bytes of bodies they and their answers had; refusals not counted.
    """

    def __init__(
        self,
        path: Path,
        *,
        authorize: Authorize | None = None,
        clock: Clock | None = None,
        splits: tuple[str, ...] = (),
    ) -> None:
        refuse_outside_local()
        clock = clock or SystemClock()
        self._authorize = authorize
        self._database = Database(path)
        self.catalogue = Catalogue(self._database, clock, splits)
        self._account = Account(self.catalogue, self._database)
        self._items = Items(self.catalogue, self._database, clock)
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    async def __aenter__(self) -> "CosmosEmulator":
        await self.catalogue.load()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._database.close)

    async def provision(self, database: str, containers: Sequence[Object]) -> None:
        """Make what is not there, as a template does where tokens may not (rule 2)."""
        if database not in [body["id"] for body in self.catalogue.databases]:
            await self.catalogue.create_database({"id": database})
        known = {container.definition.name for container in self.catalogue.containers(database)}
        for body in containers:
            if body.get("id") not in known:
                await self.catalogue.create_container(database, body, {"offerThroughput": 400})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] == "/healthz":
            found = Answer(HTTPStatus.OK, b"ok")
        else:
            found = await self._answered(scope["method"], scope["raw_path"].decode(), headers, receive)
        if found is None:
            scope[DROP]()
            await receive()  # until the server has seen that the connection is gone
            return
        await _send(send, found, headers.get("x-ms-activity-id", ""))

    async def _answered(self, method: str, path: str, headers: Mapping[str, str], receive: Receive) -> Answer | None:
        """Return the answer, or nothing where a fault takes the connection."""
        try:
            body = await _read(receive)
            may_administer = await self._admitted(headers)
            if path.startswith("/_emulator/"):
                return await self._administered(method, path, body)
            check_headers(headers)
            request = Request(method, split_path(path), MappingProxyType(dict(headers)), body, may_administer)
            operation, act = self._route(request)
            return await self._counted(request, operation, act)
        except CosmosError as error:
            return refused(error)

    async def _counted(self, request: Request, operation: Operation, act: Act) -> Answer | None:
        self.counts[operation] += 1
        found = await self._with_faults(request, operation, act)
        self.bytes[operation] += len(request.body) + (len(found.body) if found else 0)
        return found

    async def _admitted(self, headers: Mapping[str, str]) -> bool:
        token = bearer(headers)
        if self._authorize is None:
            return True
        try:
            return await self._authorize(token)
        except MandateError as error:
            raise CosmosError(error.status, error.message) from error

    async def _with_faults(self, request: Request, operation: Operation, act: Act) -> Answer | None:
        fault = self.faults.take(operation, next(iter(request.parts[3:]), ""))  # dbs/d/colls/c
        if fault is None:
            return await act(request)
        done = await act(request) if fault.after else None
        await asyncio.sleep(fault.hang)
        if fault.drop:
            return None
        if fault.status:
            message = "This answer was ordered by the fault in force."
            raise CosmosError(fault.status, message, substatus=fault.substatus, retry_after_ms=fault.retry_after_ms)
        return done or await act(replace(request, rows=fault.rows))

    def _route(self, request: Request) -> tuple[Operation, Act]:
        match request.parts:
            case ("dbs", _, "colls", _, "docs"):
                return self._route_all(request)
            case ("dbs", _, "colls", _, "docs", _) if request.method in _ITEM:
                return _ITEM[request.method], self._items.single[request.method]
            case _:
                return self._route_account(request)

    def _route_account(self, request: Request) -> tuple[Operation, Act]:
        account = self._account
        match request.method, request.parts:
            case "GET", ():
                found: tuple[Operation, Act] = "account", account.describe
            case "GET" | "POST", ("dbs",):
                found = "database", account.databases
            case "GET" | "DELETE", ("dbs", _):
                found = "database", account.database
            case "GET" | "POST", ("dbs", _, "colls"):
                found = "container", account.containers
            case "GET" | "PUT" | "DELETE", ("dbs", _, "colls", _):
                found = "container", account.container
            case "GET", ("dbs", _, "colls", _, "pkranges"):
                found = "pkranges", account.ranges
            case "POST", ("offers",):
                found = "throughput", account.offers
            case "PUT", ("offers", _):
                found = "throughput", account.offer
            case _:
                raise bad(f"There is no {request.method} at this path.")
        return found

    def _route_all(self, request: Request) -> tuple[Operation, Act]:
        headers, items = request.headers, self._items
        if request.method == "GET":
            return ("changes", items.changes) if "a-im" in headers else ("items", items.every)
        if request.method != "POST":
            raise bad(f"There is no {request.method} at this path.")
        if "x-ms-cosmos-is-query-plan-request" in headers:
            return "query", items.plan
        if "x-ms-documentdb-isquery" in headers:
            return "query", items.query
        if "x-ms-cosmos-is-batch-request" in headers:
            return "batch", items.batch
        return (
            ("upsert", items.upsert) if headers.get("x-ms-documentdb-is-upsert") == "True" else ("create", items.create)
        )

    async def _administered(self, method: str, path: str, body: bytes) -> Answer:
        """Answer what is no part of the service: faults, counts, splits."""
        match method, path:
            case "POST", "/_emulator/faults":
                self.faults.order(read_fault(body))
            case "DELETE", "/_emulator/faults":
                self.faults.clear()
            case "GET", "/_emulator/counts":
                return answer(HTTPStatus.OK, dict(self.counts))
            case "GET", "/_emulator/bytes":
                return answer(HTTPStatus.OK, dict(self.bytes))
            case "POST", "/_emulator/split":
                asked = parse_object(body)
                found = self.catalogue.container(str(asked.get("database")), str(asked.get("container")))
                await self.catalogue.split(found, str(asked.get("at")).upper())
            case _:
                raise bad("The emulator has no such route.")
        return Answer(HTTPStatus.NO_CONTENT)


async def _read(receive: Receive) -> bytes:
    """Read the body whole, so that a refusal finds the client listening; keep no more of it than is allowed."""
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(_READ_SECONDS):
            while more:
                message = await receive()
                size += len(message.get("body", b""))
                body += message.get("body", b"") if size <= _LARGEST_BODY else b""
                more = message.get("more_body", False)
    except TimeoutError:
        raise CosmosError(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive.") from None
    if size > _LARGEST_BODY:
        raise CosmosError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request size is too large.")
    return bytes(body)


async def _send(send: Send, found: Answer, activity: str) -> None:
    headers = {
        **found.headers,
        "content-type": "application/json",
        "content-length": str(len(found.body)),
        "x-ms-activity-id": activity,
        "x-ms-gatewayversion": "mandate-emulator",
    }
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(found.status), "headers": raw})
    await send({"type": "http.response.body", "body": found.body})
