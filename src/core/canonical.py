"""One byte form for everything that is hashed, signed or compared."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"
"""JSON without fractions: two libraries may write the same float differently, so a float has no canonical form."""

_PLAIN = frozenset({str, int, bool, type(None)})

GENESIS = "0" * 64
"""What stands in place of a previous hash in the first event of a run."""


def canonical(value: Json) -> bytes:
    """Return the canonical JSON of `value`: sorted keys, no spaces, UTF-8; equal to RFC 8785 for what we store.

    Raises:
        TypeError: `value` holds a float: use a whole number in a smaller unit.
    """
    _refuse_floats(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def commitment(key: bytes, data: bytes) -> str:
    """Return the keyed commitment to `data`: HMAC-SHA-256 in hex, meaningless once `key` is destroyed."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def new_commitment_key() -> bytes:
    return secrets.token_bytes(32)


def _refuse_floats(value: Json) -> None:
    if type(value) in _PLAIN:
        return
    if isinstance(value, float):
        raise TypeError("a float has no canonical form: use a whole number in a smaller unit")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            _refuse_floats(item)
