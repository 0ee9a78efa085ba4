"""Checkpoints of a tenant's evidence: a signed hash over the heads of all its runs, each naming the one before.

A run's chain shows any change but the loss of its end, or of all of it. A checkpoint says how far every run had come,
so that what is cut off, left out or written anew since then shows. See `docs/evidence.md`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from core import RunId, TenantId, canonical, digest
from core.errors import Defect
from core.merkle import leaf_hash, root_of
from data.governed import EVIDENCE_KINDS
from data.ports import Record, TenantData, Versioned
from data.signatures import PublicKey, Signed

FORMAT = "mandate.checkpoint.1"

INLINE = 2000
"""So many changes stand in the checkpoint's own record; more go into records of their own."""


class Change(NamedTuple):
    """How far a run has come: from event `before`, which the checkpoint before had, to event `seq` with its hash."""

    run: RunId
    before: int
    seq: int
    hash: str


Changes = tuple[Change, ...]


class Head(NamedTuple):
    """The last event of a run that a checkpoint covers."""

    seq: int
    hash: str


Heads = Mapping[RunId, Head]


class Checkpoint(BaseModel):
    """What is signed.

    Attributes:
        number: 1 for a tenant's first.
        previous: hash of the statement before, `GENESIS` for the first.
        at: when it was made.
        runs: how many runs it covers.
        events: how many events.
        root: of the Merkle tree over the heads of all of them, in the order of the runs' ids.
        changes: hash of the list of what has changed since the checkpoint before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mandate.checkpoint.1"] = FORMAT
    tenant: TenantId
    number: int
    previous: str
    at: str
    runs: int
    events: int
    root: str
    changes: str

    def canonical(self) -> bytes:
        return canonical(self.model_dump(mode="json"))


class CheckpointRecord(Record):
    """A checkpoint as it is stored, in its tenant, whom it outlives. Key: see `checkpoint_key`.

    Attributes:
        changes: the first of them.
        parts: how many `ChangesRecord` have the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "evidence_checkpoint"

    signed: Signed
    changes: Changes
    parts: int = 0


class ChangesRecord(Record):
    """Further changes of a checkpoint. Key: that of the checkpoint, the beginning of `Checkpoint.changes`, a number."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "evidence_changes"

    changes: Changes


class EvidenceKeyRecord(Record):
    """A public key that evidence was signed with, in the publisher's tenant. Key: its `kid`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "evidence_key"

    key: PublicKey


assert {CheckpointRecord.kind, ChangesRecord.kind} == EVIDENCE_KINDS


class Anchor(Protocol):
    """A place out of the store's reach, where each checkpoint is put once and never changed."""

    async def put(self, tenant: TenantId, number: int, data: bytes) -> None:
        """Keep it; the same once more changes nothing.

        Raises:
            Conflict: something else is there already (`conflict.anchor`).
            Unavailable: it cannot be reached (`dependency.anchor`).
        """
        ...

    async def read(self, tenant: TenantId, number: int) -> bytes | None:
        """Return what is there; None if nothing is. Raises `Unavailable` as `put`."""
        ...


def checkpoint_key(number: int) -> str:
    return f"{number:010d}"


def part_key(number: int, changes: str, part: int) -> str:
    return f"{checkpoint_key(number)}.{changes[:16]}.{part:04d}"


def anchored(signed: Signed) -> bytes:
    """Return a checkpoint as it is anchored."""
    return orjson.dumps(signed.model_dump(), option=orjson.OPT_SORT_KEYS)


def changes_digest(changes: Sequence[Change]) -> str:
    return digest(orjson.dumps([list(change) for change in changes]))


def head_leaf(run: RunId, head: Head) -> bytes:
    """Return the hash of a run's leaf in the tree."""
    return leaf_hash(canonical([run, head.seq, head.hash]))


def leaves_of(heads: Heads) -> list[bytes]:
    return [head_leaf(run, heads[run]) for run in sorted(heads)]


def root_over(heads: Heads) -> str:
    return root_of(leaves_of(heads)).hex()


def advanced(heads: dict[RunId, Head], changes: Iterable[Change]) -> None:
    """Bring `heads` up to a checkpoint, given what it changes."""
    heads.update({change.run: Head(change.seq, change.hash) for change in changes})


async def read_checkpoint(data: TenantData, number: int) -> CheckpointRecord | None:
    """Return a checkpoint with all its changes; None if there is none of this number.

    Raises:
        Defect: it is not as it was written (`defect.checkpoint`).
    """
    try:
        found = await data.records.get(CheckpointRecord, checkpoint_key(number))
        return await _whole(data, found) if found else None
    except ValidationError:
        raise _changed() from None


async def checkpoints(data: TenantData) -> AsyncIterator[Versioned[CheckpointRecord]]:
    """Yield all checkpoints of a tenant in order, each with all its changes; raises as `read_checkpoint`."""
    cursor = None
    while True:
        try:
            page = await data.records.list(CheckpointRecord, cursor=cursor)
            found = [Versioned(one.key, await _whole(data, one), one.etag) for one in page.items]
        except ValidationError:
            raise _changed() from None
        for one in found:
            yield one
        cursor = page.cursor
        if cursor is None:
            return


async def _whole(data: TenantData, found: Versioned[CheckpointRecord]) -> CheckpointRecord:
    """Return a stored checkpoint together with the changes that are kept beside it, as far as they are there."""
    record = found.value
    changes = list(record.changes)
    for part in range(record.parts):
        key = part_key(int(found.key), Checkpoint.model_validate_json(record.signed.statement).changes, part)
        if more := await data.records.get(ChangesRecord, key):
            changes += more.value.changes
    return record.model_copy(update={"changes": tuple(changes)})


def _changed() -> Defect:
    return Defect("A stored checkpoint has been changed; verify the evidence to see which.", code="defect.checkpoint")


async def latest_number(data: TenantData) -> int:
    """Return the number of the last checkpoint, 0 if there is none: numbers have no gaps, so a few looks find it."""

    async def there(number: int) -> bool:
        return await data.records.get(CheckpointRecord, checkpoint_key(number)) is not None

    below, above = 0, 1
    while await there(above):
        below, above = above, above * 2
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if await there(middle) else (below, middle)
    return below
