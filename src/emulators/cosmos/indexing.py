"""What is kept beside an item so that it is found by meaning and by words: its vectors, its words."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

import apsw

from emulators.cosmos.containers import Definition, Embedding
from emulators.cosmos.database import Connection
from emulators.cosmos.errors import bad
from emulators.cosmos.values import Json, Object, Value, at

Tokenize = Callable[[str], list[str]]


def tokenizer(connection: Connection) -> Tokenize:
    """Return what splits a text into words: Unicode's word boundaries, small letters, Porter's English stems.

    It is that of SQLite's full-text search. The service's own is not published; nothing here proves that both find the
    same words.
    """
    split = cast("Any", connection).fts5_tokenizer("porter", ["unicode61"])

    def tokenize(text: str) -> list[str]:
        return split(text.encode(), apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False, include_colocated=False)

    return tokenize


def index_item(
    connection: Connection, container: int, definition: Definition, place: tuple[int, str], item: Object
) -> None:
    """Keep the vectors and words of an item.

    Args:
        connection: within the transaction that stores the item.
        container: the row of its container.
        definition: says which paths have them.
        place: the item's row and its effective partition key.
        item: the item itself.

    Raises:
        CosmosError: 400: a vector has not the length that the container declares.
    """
    key, epk = place
    connection.execute("DELETE FROM vectors WHERE item = ?", (key,))
    connection.execute("DELETE FROM texts WHERE item = ?", (key,))
    connection.execute("DELETE FROM postings WHERE item = ?", (key,))
    for embedding in definition.embeddings:
        value = at(item, embedding.path)
        if isinstance(value, list):
            row = (key, path_text(embedding.path), vector_bytes(value, embedding))
            connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", row)
    for path in definition.full_text_indexed:
        words = Counter(_words(at(item, path), connection))
        connection.execute("INSERT INTO texts VALUES (?, ?, ?)", (key, path_text(path), words.total()))
        for word, times in words.items():
            row = (container, path_text(path), word, epk, key, times)
            connection.execute("INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?)", row)


def vector_bytes(value: Sequence[Json], embedding: Embedding) -> bytes:
    """Return a vector as it is stored.

    Raises:
        CosmosError: 400.
    """
    import numpy as np

    if len(value) != embedding.dimensions:
        raise bad(f"A vector at {path_text(embedding.path)} must have {embedding.dimensions} dimensions.")
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        raise bad("A vector is an array of numbers.")
    return np.array(value, dtype="<f4").tobytes()


def path_text(path: Sequence[str]) -> str:
    return "".join(f"/{step}" for step in path)


def _words(value: Value, connection: Connection) -> list[str]:
    return tokenizer(connection)(value) if isinstance(value, str) else []
