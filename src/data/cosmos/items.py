"""One container, with everything that can be done to it. Each call is bound, retried and counted (`calls.py`).

Nothing comes out whose tenant is not the one that was asked for.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, LiteralString, TypeAlias, cast

from azure.core import MatchConditions

from core import PUBLISHER, TenantId
from core.errors import Defect
from data.cosmos.calls import BOUND_SECONDS, Calls, Missing
from data.cosmos.keys import Key, full_key, prefix_key
from data.cosmos.usage import Operation

if TYPE_CHECKING:
    from azure.cosmos import CosmosDict
    from azure.cosmos.aio import ContainerProxy

Value: TypeAlias = "str | int | float | bool | Sequence[str] | Sequence[float] | None"
Document = Mapping[str, Value]
Range = Mapping[str, Mapping[str, str | bool]]
"""A part of a container, as the SDK gives and takes it."""

PAGE = 1000
"""Documents in one page, if their bytes let as many into it."""

_EVERYTHING: Range = {"Range": {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}}
"""A container as one range, in the form of `read_feed_ranges`: the SDK's tokens for it outlive a partition's split."""


class Items:
    """The documents of one container."""

    def __init__(self, proxy: "ContainerProxy", name: str, calls: Calls) -> None:
        self._proxy = proxy
        self._name = name
        self._calls = calls

    async def begin(self) -> None:
        """Have the SDK learn which container this is, before anything is written.

        Where a write's answer has no body it files the session under the id that it has learned; under none, that of
        all such containers, and a read of one then waits for what only another has reached (azure-cosmos 4.17.1).
        """
        with suppress(Missing):
            await self._calls.run(
                self._operation("open", PUBLISHER),
                lambda: self._proxy.read_item("begin", partition_key=full_key((PUBLISHER, "begin"))),
            )

    async def read(self, key: Key, id_: str) -> Document | None:
        """Return a document by its id; a point read."""
        values = full_key(key)
        try:
            found = await self._calls.run(
                self._operation("read", key[0]), lambda: self._proxy.read_item(id_, partition_key=values)
            )
        except Missing:
            return None
        return _owned([found], key[0])[0]

    async def create(self, key: Key, document: Document) -> str:
        """Create a document and return its ETag.

        Raises:
            Taken: its id is there already, perhaps by an earlier attempt of this same call.
        """
        return await self._write("create", key, document, lambda body: self._proxy.create_item(body, no_response=True))

    async def upsert(self, key: Key, document: Document) -> str:
        return await self._write("upsert", key, document, lambda body: self._proxy.upsert_item(body, no_response=True))

    async def replace(self, key: Key, document: Document, *, etag: str) -> str:
        """Replace a document whose ETag is `etag`, and return the new one.

        Raises:
            Missing: it is not there.
            Stale: it has another ETag, perhaps by an earlier attempt of this same call.
        """
        return await self._write(
            "replace",
            key,
            document,
            lambda body: self._proxy.replace_item(
                str(body["id"]),
                body,
                etag=f'"{etag}"',
                match_condition=MatchConditions.IfNotModified,
                no_response=True,
            ),
        )

    async def set(self, key: Key, id_: str, values: Document, *, only_if: str) -> None:
        """Set some of a document's values if the condition holds.

        Raises:
            Missing: it is not there.
            Stale: the condition does not hold, perhaps because of an earlier attempt of this same call.
        """
        full = full_key(key)
        changes = [{"op": "set", "path": f"/{name}", "value": value} for name, value in values.items()]
        await self._calls.run(
            self._operation("patch", key[0]),
            lambda: self._proxy.patch_item(
                id_, partition_key=full, patch_operations=changes, filter_predicate=only_if, no_response=True
            ),
        )

    async def delete(self, key: Key, id_: str, *, etag: str | None = None) -> bool:
        """Delete a document, if it has `etag` where one is given; return whether it was there.

        Raises:
            Stale: it has another ETag.
        """
        values = full_key(key)
        expected, condition = (f'"{etag}"', MatchConditions.IfNotModified) if etag else (None, None)
        try:
            await self._calls.run(
                self._operation("delete", key[0]),
                lambda: self._proxy.delete_item(id_, partition_key=values, etag=expected, match_condition=condition),
            )
        except Missing:
            return False
        return True

    async def create_all(self, key: Key, documents: Sequence[Document]) -> None:
        """Create documents of one logical partition, all or none.

        Raises:
            Taken: an id is there already, perhaps by an earlier attempt of this same call.
        """
        await self._batch(key, [("create", (_checked(document, key[0]),)) for document in documents])

    async def upsert_all(self, key: Key, documents: Sequence[Document]) -> None:
        """Write documents of one logical partition, all or none."""
        await self._batch(key, [("upsert", (_checked(document, key[0]),)) for document in documents])

    async def query(self, key: Key | TenantId, sql: LiteralString, /, **parameters: Value) -> list[Document]:
        """Return what a query finds in a logical partition, or of a whole tenant: then in no order.

        `sql` names the tenant in its WHERE, as `@tenant`, and selects `c.tenant`. It is a
        `LiteralString`: the type checker refuses any that holds a value, which has to be bound.
        """
        tenant, values = (key[0], full_key(key)) if isinstance(key, tuple) else (key, prefix_key(key))
        if "c.tenant = @tenant" not in sql:
            raise Defect("A query that does not name the tenant was refused.", code="defect.tenant")

        async def attempt() -> list[Document]:
            found = self._proxy.query_items(
                sql, parameters=_named(tenant=tenant, **parameters), partition_key=values, max_item_count=PAGE
            )
            return [cast("Document", item) async for item in found]

        found = await self._calls.run(self._operation("query", tenant), attempt, seconds=BOUND_SECONDS)
        return _owned(found, tenant)

    async def across(self, sql: LiteralString, /, **parameters: Value) -> AsyncIterator[Document]:
        """Give what a query finds over all tenants, in no order: for the platform alone."""
        token: str | None = None
        while True:
            page, token = await self._page(sql, parameters, token)
            for document in page:
                yield document
            if not token:
                return

    async def ranges(self) -> list[Range]:
        """Return the physical ranges of the container, each with a change feed of its own."""

        async def attempt() -> list[Range]:
            return [cast("Range", found) async for found in self._proxy.read_feed_ranges(force_refresh=True)]

        return await self._calls.run(self._operation("ranges", PUBLISHER), attempt)

    async def changes(self, part: Range, token: str, most: int) -> tuple[list[Document], str]:
        """Return documents of a range that were created or changed behind `token`, and how far that goes.

        No document: there are no more yet. Once a range has been split, its tokens are still good.
        """

        async def attempt() -> tuple[list[Document], str]:
            headers: list[Mapping[str, str]] = []

            def hook(given: Mapping[str, str], _: object) -> None:
                headers.append(given)

            feed = self._proxy.query_items_change_feed
            if token:
                changed = feed(continuation=token, max_item_count=most, response_hook=hook)
            else:
                changed = feed(feed_range=dict(part), start_time="Beginning", max_item_count=most, response_hook=hook)
            pages = changed.by_page()
            found = await _next_page(pages)
            return found, headers[-1]["etag"] if headers else token  # where the SDK puts its own token

        try:
            return await self._calls.run(self._operation("changes", PUBLISHER), attempt)
        except ValueError:  # the SDK's word for a token of a container that has been made anew since
            if not token:
                raise
            return await self.changes(part, "", most)

    async def _page(
        self, sql: LiteralString, parameters: Mapping[str, Value], token: str | None
    ) -> tuple[list[Document], str | None]:
        async def attempt() -> tuple[list[Document], str | None]:
            headers: list[Mapping[str, str]] = []
            # mandate: allow[tenant-statement] - what is asked over all tenants, by the platform alone
            pages = self._proxy.query_items(
                sql,
                parameters=_named(**parameters),
                feed_range=dict(_EVERYTHING),
                max_item_count=PAGE,
                response_hook=lambda given, _: headers.append(given),
            ).by_page(token)
            found = await _next_page(pages)
            return found, headers[-1].get("x-ms-continuation") if headers else None

        return await self._calls.run(self._operation("query", PUBLISHER), attempt)

    async def _write(
        self, name: str, key: Key, document: Document, write: "Callable[[dict[str, Value]], Awaitable[CosmosDict]]"
    ) -> str:
        full_key(key)
        body = _checked(document, key[0])
        written = await self._calls.run(self._operation(name, key[0]), lambda: write(body))
        return str(written.get_response_headers()["etag"]).strip('"')

    async def _batch(self, key: Key, operations: Sequence[tuple[str, tuple[dict[str, Value]]]]) -> None:
        values = full_key(key)
        await self._calls.run(
            self._operation("batch", key[0]),
            lambda: self._proxy.execute_item_batch(operations, partition_key=values),
        )

    def _operation(self, name: str, tenant: TenantId) -> Operation:
        return Operation(name, self._name, tenant)


def text(document: Document, name: str) -> str:
    """Return a value that is a text.

    Raises:
        Defect: it is none: the document is not as it was written.
    """
    value = document.get(name)
    if not isinstance(value, str):
        raise Defect("A stored document is not as it was written.", code="defect.store")
    return value


def number(document: Document, name: str) -> int:
    """Return a value that is a whole number; `Defect` if it is none."""
    value = document.get(name)
    if not isinstance(value, int):
        raise Defect("A stored document is not as it was written.", code="defect.store")
    return value


async def _next_page(pages: AsyncIterator[AsyncIterator[dict[str, object]]]) -> list[Document]:
    try:
        page = await anext(pages)
    except StopAsyncIteration:
        return []
    return [cast("Document", item) async for item in page]


def _named(**parameters: Value) -> list[dict[str, object]]:
    return [{"name": f"@{name}", "value": value} for name, value in parameters.items()]


def _checked(document: Document, tenant: TenantId) -> dict[str, Value]:
    if document.get("tenant") != tenant:
        raise Defect("A document of another tenant was refused.", code="defect.tenant")
    return dict(document)


def _owned(documents: "Sequence[Mapping[str, Value]]", tenant: TenantId) -> list[Document]:
    """Return the documents, all of which must be the tenant's: one that is not is a fault, and no answer.

    Raises:
        Defect: one is not (code `defect.tenant`).
    """
    if any(document.get("tenant") != tenant for document in documents):
        raise Defect("The store gave out another tenant's document; it was withheld.", code="defect.tenant")
    return list(documents)
