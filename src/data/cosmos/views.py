"""Views: a logical partition for each view of a tenant, a document for each row."""

from collections.abc import Sequence
from contextlib import suppress
from typing import LiteralString

from core import RunId, TenantContext, TenantId
from data.cosmos.calls import Missing, Stale, Taken
from data.cosmos.items import Document, Items, Value, number, text
from data.cosmos.keys import encoded
from data.cursors import decode_cursor, encode_cursor
from data.ports import Page, Row


class CosmosViews:
    def __init__(self, items: Items, context: TenantContext) -> None:
        self._items = items
        self._tenant = context.tenant

    async def get(self, view: str, key: str) -> Row | None:
        found = await self._items.read((self._tenant, view), encoded(key))
        return row_of(found) if found else None

    async def list(
        self,
        view: str,
        *,
        owner: str | None = None,
        states: Sequence[str] = (),
        since: str = "",
        until: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Row]:
        conditions: list[LiteralString] = []
        values: dict[str, Value] = {"view": view, "limit": limit + 1}
        if owner is not None:
            conditions.append("c.owner = @owner")
            values["owner"] = owner
        if states:
            conditions.append("ARRAY_CONTAINS(@states, c.state)")
            values["states"] = list(states)
        if since:
            conditions.append("c.sort >= @since")
            values["since"] = since
        if until is not None:
            conditions.append("c.sort < @until")
            values["until"] = until
        if cursor:
            conditions.append("(c.sort < @sort OR (c.sort = @sort AND c.key < @key))")
            values["sort"], values["key"] = decode_cursor(cursor, 2)
        narrowed = "".join(f" AND {condition}" for condition in conditions)
        which = f"c.tenant = @tenant AND c.view = @view{narrowed} ORDER BY c.sort DESC, c.key DESC"
        # mandate: allow[tenant-statement] - `which` names the tenant first, a line above
        sql = f"SELECT TOP @limit * FROM c WHERE {which}"
        found = [row_of(document) for document in await self._items.query((self._tenant, view), sql, **values)]
        rows = found[:limit]
        return Page(rows, encode_cursor(rows[-1].sort, rows[-1].key) if len(found) > limit else None)


async def write_row(items: Items, view: str, row: Row) -> None:
    """Write the row unless one that knows as much or more of its run is there."""
    key, id_ = (row.tenant, view), encoded(row.key)
    changing: Document = {
        "sort": row.sort,
        "owner": row.owner,
        "state": row.state,
        "run": row.run,
        "seq": row.seq,
        "body": row.body.decode(),
    }
    newer = f"from c where c.seq < {row.seq}"
    with suppress(Stale):  # what is there knows as much: perhaps an earlier attempt of this call wrote it
        try:
            await items.set(key, id_, changing, only_if=newer)
        except Missing:
            try:
                await items.create(key, {"id": id_, "tenant": row.tenant, "view": view, "key": row.key, **changing})
            except Taken:
                await items.set(key, id_, changing, only_if=newer)


def row_of(document: Document) -> Row:
    return Row(
        tenant=TenantId(text(document, "tenant")),
        key=text(document, "key"),
        sort=text(document, "sort"),
        owner=text(document, "owner"),
        state=text(document, "state"),
        run=RunId(text(document, "run")),
        seq=number(document, "seq"),
        body=text(document, "body").encode(),
    )
