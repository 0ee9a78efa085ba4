"""The events of a run. The run log is a list of these, and everything else is a reading of it.

An event holds pseudonyms, enums, whole numbers, labels and references to content: never content itself, never a
string that a person, a document or a model made up. `SCHEMA` grows by one when the meaning of stored bytes changes;
old versions stay readable (`tests/unit/golden` keeps one of each).
"""

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter

from core.bodies import Body
from core.canonical import digest
from core.ids import RunId, TenantId
from core.tenancy import Actor

SCHEMA = 1


class Event(BaseModel):
    """One line of the run log. Its hash covers every field, `prev` included, so a run is a chain.

    Attributes:
        seq: 1 for the first event of a run; also the fence: an append at a taken number is a conflict.
        actor: the pseudonym of who caused it.
        prev: hash of the event before, `GENESIS` for the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA
    tenant: TenantId
    run: RunId
    seq: int
    at: str
    actor: Actor
    prev: str
    body: Body

    def canonical(self) -> bytes:
        """Return what is stored and hashed: equal to `core.canonical`, whose search for floats no event needs."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


class Stored(BaseModel):
    """An event as the log holds it: `hash` is the SHA-256 of `data`, and `data` is the event's canonical JSON.

    In `data` the names that the tenant chose are sealed (`core.names`); in `event` they are as whoever read it knows
    them.
    """

    model_config = ConfigDict(frozen=True)

    event: Event
    data: bytes
    hash: str

    @classmethod
    def seal(cls, event: Event, written: Event | None = None) -> "Stored":
        """Make what is stored of an event; `written` is the same with its names sealed."""
        data = (written or event).canonical()
        return cls.model_construct(event=event, data=data, hash=digest(data))

    @classmethod
    def parse(cls, data: bytes) -> "Stored":
        """Read an event back from its stored bytes; the hash is computed again, never trusted."""
        return cls.model_construct(event=_EVENT.validate_json(data), data=data, hash=digest(data))


_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
