"""The key under which a tenant's names are sealed in its log: a record like any other, erased with the tenant."""

import secrets
from collections.abc import Sequence
from typing import ClassVar

from pydantic import ConfigDict

from core import KEY_BYTES, Names, renamed
from core.errors import PreconditionFailed
from core.events import Stored
from data.ports import Record, TenantData


class NameKey(Record):
    """Key: `NAME_KEY`. `key` is random, in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "name_key"
    key: str


NAME_KEY = "names"


async def names_of(data: TenantData) -> Names:
    """Return what seals the tenant's names; its key is made when it is first needed.

    Raises:
        Forbidden: the tenant has no key any more, since it is erased (`tenant.erased`).
    """
    while True:
        if found := await known_names(data):
            return found
        try:
            await data.records.put(NAME_KEY, NameKey(key=secrets.token_hex(KEY_BYTES)), etag=None)
        except PreconditionFailed:
            continue  # another process has made it at this moment


async def known_names(data: TenantData) -> Names | None:
    """Return what opens the tenant's names; None where no key is there, or none any more."""
    found = await data.records.get(NameKey, NAME_KEY)
    return Names(bytes.fromhex(found.value.key)) if found else None


def with_names(names: Names | None, stored: Sequence[Stored]) -> list[Stored]:
    """Return events with their names opened, as far as that can be."""
    if names is None:
        return list(stored)
    return [item.model_copy(update={"event": renamed(item.event, names.open)}) for item in stored]
