"""Partition keys: what a container declares, what a request says, and where a key lies (rules 5 and 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import orjson

from emulators.cosmos.errors import bad
from emulators.cosmos.values import UNDEFINED, Json, Object, Value, as_list, at, parse

MISMATCH = 1001
"""Substatus: the key of the document is not the key of the request."""

_LONGEST_BYTES = 2048
_MISSING: Object = {}

Scalar: TypeAlias = "bool | int | float | str | dict[str, Json] | None"
"""A level of a key. `{}` stands for a property that the document does not have."""


@dataclass(frozen=True, slots=True)
class KeyDefinition:
    """How a container is partitioned.

    Attributes:
        paths: where in a document the levels of its key are.
        kind: `Hash` for one level, `MultiHash` for up to three.
    """

    paths: tuple[tuple[str, ...], ...]
    kind: str

    def of_document(self, document: Object) -> list[Scalar]:
        return [_level(at(document, path)) for path in self.paths]

    def of_header(self, text: str) -> list[Scalar]:
        """Return the key that a header names in full.

        Raises:
            CosmosError: 400/1001 with too few levels, 400 with too many (rule 5).
        """
        levels = self.some_of_header(text)
        if len(levels) < len(self.paths):
            raise bad("Partition key provided either doesn't correspond to definition in the collection.", MISMATCH)
        return levels

    def some_of_header(self, text: str) -> list[Scalar]:
        """Return the levels that a header names, of which there may be too few."""
        levels = [_level(level) for level in as_list(parse(text.encode()), "The partition key")]
        if len(levels) > len(self.paths):
            raise bad("The partition key has more levels than the container.")
        return levels

    def epk(self, levels: Sequence[Scalar]) -> str:
        """Return the effective partition key: where the key lies on the container's line."""
        return _epk(self.kind, orjson.dumps(list(levels)))


def check_same(header: Sequence[Scalar], document: Sequence[Scalar]) -> None:
    """Refuse a document whose key is not that of the request.

    A level that the document lacks is not the same as `null` (rule 5).

    Raises:
        CosmosError: 400/1001.
    """
    if orjson.dumps(list(header)) != orjson.dumps(list(document)):
        message = "PartitionKey extracted from document doesn't match the one specified in the header."
        raise bad(message, MISMATCH)


def after(epk: str) -> str:
    """Return the first place behind a key, as the SDK computes the end of a full key's interval (rule 11)."""
    return f"{int(epk, 16) + 1:0{len(epk)}X}"


def _level(value: Value) -> Scalar:
    if value is UNDEFINED or value == _MISSING:
        return _MISSING
    if isinstance(value, dict | list):
        raise bad("A level of a partition key must be a string, a number, a boolean or null.")
    if isinstance(value, str) and len(value.encode()) > _LONGEST_BYTES:
        raise bad(f"A level of a partition key may have {_LONGEST_BYTES} bytes at most.")
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@lru_cache(maxsize=65_536)
def _epk(kind: str, levels: bytes) -> str:
    """Compute by the SDK's own function, which is slow and pure (rule 11)."""
    from azure.cosmos.partition_key import PartitionKey

    values = orjson.loads(levels)
    paths = [f"/{number}" for number in range(len(values))]
    several = kind == "MultiHash"
    definition = PartitionKey(paths, kind="MultiHash") if several else PartitionKey(paths[0], kind="Hash")
    return str(definition._get_effective_partition_key_string(values))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Microsoft publishes the hash as this function only; one of ours could differ from it
