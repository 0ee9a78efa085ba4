"""Continuation tokens: opaque to clients, bound to one query and one scope (rule 7)."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from emulators.cosmos.errors import bad
from emulators.cosmos.values import UNDEFINED, Json, Value


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended.

    Attributes:
        epk: of the last row.
        key: of the last row.
        values: those of the last row that the query orders by.
        skip: rows that OFFSET still passes over.
        take: rows that TOP or LIMIT still lets through.
    """

    epk: str
    key: int
    values: tuple[Value, ...]
    skip: int
    take: int | None


def write_token(place: Place, about: str) -> str:
    values: list[Json] = [[] if value is UNDEFINED else [value] for value in place.values]
    parts: list[Json] = [about, place.epk, place.key, values, place.skip, place.take]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def read_token(token: str, about: str) -> Place:
    """Return where the page before ended.

    Raises:
        CosmosError: 400: not a token of ours, or one of another query.
    """
    try:
        told, epk, key, values, skip, take = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad("The continuation token is not one of this server.") from error
    if told != about:
        raise bad("The continuation token belongs to another query.")
    return Place(epk, key, tuple(value[0] if value else UNDEFINED for value in values), skip, take)


def about(parts: Sequence[Json]) -> str:
    """Return what binds a token to its query."""
    return hashlib.sha256(orjson.dumps(list(parts), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
