"""Identifiers. All are minted by us, so they mean nothing outside the product and name nobody."""

import hashlib
import secrets
import time
from typing import NewType

TenantId = NewType("TenantId", str)
PrincipalId = NewType("PrincipalId", str)
RunId = NewType("RunId", str)
ContentId = NewType("ContentId", str)
ConversationId = NewType("ConversationId", str)
DocumentId = NewType("DocumentId", str)
ApprovalId = NewType("ApprovalId", str)
FlagId = NewType("FlagId", str)

PUBLISHER = TenantId("ten_publisher")
"""The publisher's own tenant: the directory lives here, and what has no tenant is recorded here."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]

ID_PATTERN = rf"[a-z]{{2,4}}_[{_ALPHABET}]{{{_LENGTH}}}"
"""Regular expression for every id that `new_id` and `derived_id` make."""


def new_id(prefix: str) -> str:
    """Return a fresh id such as `run_01kb...`: 48 bits of time in ms, then 80 random bits, so that ids sort by age."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return f"{prefix}_{_base32(value)}"


def derived_id(prefix: str, *parts: str) -> str:
    """Return the one id that belongs to `parts`: a retried request finds what its first attempt made.

    Never give it anything that names a person: an unkeyed hash of a name can be guessed back.
    """
    return id_of(prefix, hashlib.sha256("\x1f".join(parts).encode()).digest())


def id_of(prefix: str, digest: bytes) -> str:
    """Return the id that a digest makes."""
    return f"{prefix}_{_base32(int.from_bytes(digest[:16]))}"


def _base32(value: int) -> str:
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(5 * (_LENGTH - 2), -1, -10)])
