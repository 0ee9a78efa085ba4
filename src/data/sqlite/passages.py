"""Passages on disk: their rows, and a full-text table per tenant.

Each tenant has a full-text table of its own, since the rarity of a word is counted over a whole table: in a shared one
the ranking of one tenant would tell about the words of another.
"""

import re
from collections.abc import Iterator, Sequence
from typing import LiteralString, cast

from core import ID_PATTERN, PUBLISHER, ContentId, DocumentId, PrincipalId, TenantId
from core.errors import Defect
from data.knowledge import Passage, Term
from data.ranking import words_of
from data.sqlite.connections import Connection

COMMON = 2_000
"""A word that more passages of a tenant hold is not looked for; if all are such, the rarest alone is."""

_TENANT = re.compile(rf"{ID_PATTERN}|{PUBLISHER}")
_COLUMNS = "id, document, collection, ordinal, heading, text, vector, content, owner, since, until"
_Columns = tuple[str, DocumentId, str, int, str, str, bytes, ContentId, PrincipalId, str, str]
_OVER = """
    SELECT number FROM passages p WHERE tenant = ? AND (since < ? OR (until != '' AND until < ?))
    AND NOT EXISTS (SELECT 1 FROM holds WHERE tenant = p.tenant AND subject IN ('*', p.owner, p.content))
"""


def write_passage(connection: Connection, tenant: TenantId, passage: Passage) -> None:
    """Write a passage in the place of any of the same id."""
    table = _full_text(tenant)
    if not _exists(connection, table):
        # No copy of the text (`content=''`), and what is deleted leaves no trace in the index.
        connection.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5"
            "(heading, text, content='', tokenize='porter unicode61 remove_diacritics 2')"
        )
        connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('secure-delete', 1)")
    _delete(connection, tenant, "id = ?", (passage.id,))
    connection.execute(
        f"INSERT INTO passages (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (tenant, *_columns(passage)),
    )
    connection.execute(
        f"INSERT INTO {table} (rowid, heading, text) VALUES (?, ?, ?)",
        (connection.last_insert_rowid(), passage.heading, passage.text),
    )


def remove_passages(connection: Connection, tenant: TenantId, document: DocumentId, keep: int) -> int:
    """Remove the document's passages of ordinal `keep` and above, and return how many there were."""
    return _delete(connection, tenant, "document = ? AND ordinal >= ?", (document, keep))


def drop_passages(connection: Connection, tenant: TenantId) -> int:
    """Remove all of a tenant's passages and its full-text table, and return how many there were."""
    connection.execute("DELETE FROM passages WHERE tenant = ?", (tenant,))
    dropped = connection.changes()
    connection.execute(f"DROP TABLE IF EXISTS {_full_text(tenant)}")
    bump_version(connection, tenant)
    return dropped


def bump_version(connection: Connection, tenant: TenantId) -> None:
    """Tell all who hold the tenant's passages in memory that they have changed."""
    connection.execute(
        "INSERT INTO passage_versions (tenant, version) VALUES (?, 1) ON CONFLICT DO UPDATE SET version = version + 1",
        (tenant,),
    )


def version_of(connection: Connection, tenant: TenantId) -> int:
    found: tuple[int] | None = connection.execute(
        "SELECT version FROM passage_versions WHERE tenant = ?", (tenant,)
    ).fetchone()
    return found[0] if found else 0


def find_passage(connection: Connection, tenant: TenantId, id_: str) -> Passage | None:
    return next(_select(connection, "id = ?", (tenant, id_)), None)


def passages_of(connection: Connection, tenant: TenantId, document: DocumentId) -> list[Passage]:
    """Return a document's passages in order."""
    return list(_select(connection, "document = ? ORDER BY ordinal", (tenant, document)))


def expired_passages(connection: Connection, tenant: TenantId, now: str, oldest: str) -> list[int]:
    """Return the numbers of the passages whose time is up (`Term.is_over`), and which no hold keeps."""
    return [number for (number,) in connection.execute(_OVER, (tenant, oldest, now))]


def numbered_passage(connection: Connection, tenant: TenantId, number: int) -> Passage:
    """Return a passage that the same snapshot has named."""
    found = next(_select(connection, "number = ?", (tenant, number)), None)
    if found is None:
        raise Defect("The full-text index names a passage that is not there.", code="defect.index")
    return found


def matching(connection: Connection, tenant: TenantId, text: str) -> Iterator[int]:
    """Yield the numbers of the passages that hold any of the text's words, best first."""
    table, words = _full_text(tenant), words_of(text)
    if words and _exists(connection, table):
        sql = f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rank"
        for (number,) in connection.execute(sql, (_any_of(_telling(connection, table, words)),)):
            yield number


def matched_words(connection: Connection, tenant: TenantId, text: str, number: int) -> tuple[str, ...]:
    """Return which of the words that are searched for the passage holds, in any of their forms."""
    table = _full_text(tenant)
    sql = f"SELECT 1 FROM {table} WHERE {table} MATCH ? AND rowid = ?"
    return tuple(word for word in words_of(text) if connection.execute(sql, (f'"{word}"', number)).fetchone())


def _telling(connection: Connection, table: LiteralString, words: Sequence[str]) -> Sequence[str]:
    """Return the words without those that are so common that scoring all who hold them takes long and says little."""
    telling = [word for word in words if _count(connection, table, word, COMMON + 1) <= COMMON]
    return telling or [min(words, key=lambda word: _count(connection, table, word, -1))]


def _count(connection: Connection, table: LiteralString, word: str, most: int) -> int:
    """Return how many passages hold a word; no more than `most` are counted, unless that is -1."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?)"
    count: int = connection.execute(sql, (_any_of([word]), most)).fetchone()[0]
    return count


def _any_of(words: Sequence[str]) -> str:
    """Return an FTS5 query for any of the words; quoted, so that none is taken for an operator."""
    return " OR ".join(f'"{word}"' for word in words)


def _full_text(tenant: TenantId) -> LiteralString:
    """Return the name of the tenant's table: an id that we minted, letters and digits, is as good as a literal."""
    if not _TENANT.fullmatch(tenant):
        raise Defect("A tenant id that is not one of ours was refused.", code="defect.tenant")
    return cast("LiteralString", f"search_{tenant}")


def _exists(connection: Connection, table: str) -> bool:
    """Ask the file: what a connection remembers of the schema may be older than another process's table."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone() is not None


def _delete(connection: Connection, tenant: TenantId, which: LiteralString, values: Sequence[str | int]) -> int:
    sql = f"DELETE FROM passages WHERE tenant = ? AND {which} RETURNING number, heading, text"
    deleted: list[tuple[int, str, str]] = list(connection.execute(sql, (tenant, *values)))
    table = _full_text(tenant)
    for row in deleted:
        connection.execute(f"INSERT INTO {table} ({table}, rowid, heading, text) VALUES ('delete', ?, ?, ?)", row)
    return len(deleted)


def _select(connection: Connection, which: LiteralString, values: tuple[str, str | int]) -> Iterator[Passage]:
    sql = f"SELECT {_COLUMNS} FROM passages WHERE tenant = ? AND {which}"
    return map(_passage, connection.execute(sql, values))


def _passage(found: _Columns) -> Passage:
    id_, document, collection, ordinal, heading, text, vector, content, owner, since, until = found
    return Passage(
        id=id_,
        document=document,
        collection=collection,
        ordinal=ordinal,
        heading=heading,
        text=text,
        vector=vector,
        term=Term(content, owner, since, until),
    )


def _columns(passage: Passage) -> _Columns:
    return (
        passage.id,
        passage.document,
        passage.collection,
        passage.ordinal,
        passage.heading,
        passage.text,
        passage.vector,
        passage.term.content,
        passage.term.owner,
        passage.term.since,
        passage.term.until,
    )
