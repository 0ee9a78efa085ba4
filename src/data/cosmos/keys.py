"""Partition keys and ids, checked before the SDK sees them: it takes a missing key for leave to read all tenants'."""

import re
from collections.abc import Sequence

from core import TenantId
from core.errors import Defect

Key = tuple[TenantId, str]
"""A full partition key: the tenant, then what the container has second."""

_LONGEST_ID = 1023
_LONGEST_LEVEL = 1024
_AS_IT_IS = re.compile(r"[^A-Za-z0-9_-]")

_LEVELS = 2
"""Of every container's key; the tenant is the first."""


def full_key(key: Sequence[str]) -> list[str]:
    """Return a full key for the SDK.

    Raises:
        Defect: it is not one: a level is missing, empty or too long.
    """
    if isinstance(key, str) or len(key) != _LEVELS:
        raise Defect("A partition key without all its levels was refused.", code="defect.tenant")
    return [_level(level) for level in key]


def prefix_key(tenant: TenantId) -> list[str]:
    """Return the first level of a key, for a query over all that a tenant has in a container.

    Raises:
        Defect: there is no tenant.
    """
    return [_level(tenant)]


def encoded(name: str) -> str:
    """Return an id that Cosmos DB takes, one for each name: with what it forbids, and more, as `=` and hex.

    `urllib.parse.unquote(id.replace("=", "%"))` gives the name back.

    Raises:
        Defect: it is empty or longer than 1,023 bytes.
    """
    id_ = _AS_IT_IS.sub(lambda match: "".join(f"={byte:02X}" for byte in match.group().encode()), name)
    if not 0 < len(id_) <= _LONGEST_ID:
        raise Defect("An id that the store cannot hold was refused.", code="defect.store")
    return id_


def _level(level: object) -> str:
    if not isinstance(level, str) or not 0 < len(level) <= _LONGEST_LEVEL:
        raise Defect("A partition key without all its levels was refused.", code="defect.tenant")
    return level
