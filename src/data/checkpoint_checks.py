"""Do a tenant's checkpoints hold, and does its log hold against them? Judged from bytes alone, store or export alike.

The walk goes in this order: every checkpoint by its number, then every run, then what should have come and did not.
Each step says in plain words what does not hold.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

from core import GENESIS, RunId, TenantId
from core.merkle import root_by_path
from data.checkpoints import (
    Change,
    Changes,
    Checkpoint,
    Head,
    advanced,
    changes_digest,
    head_leaf,
    root_over,
)
from data.ports import RawEvent
from data.signatures import PublicKey, Signed

MOST_LEAVES = 2_000_000
"""Leaves that are hashed again to check the roots of earlier checkpoints; the last one's root is always checked."""


@dataclass(slots=True)
class Keys:
    """Whose signatures are believed. Unless some were `pinned`, that is the first key that is met, and no other.

    Attributes:
        known: by `kid`, what came with the evidence; believed only as far as it was pinned.
        pinned: those that the reader noted before.
    """

    known: Mapping[str, PublicKey]
    pinned: frozenset[str] = frozenset()
    met: str = ""

    def refuse(self, signed: Signed) -> str | None:
        """Return why a signature is not believed; None if it is."""
        key = self.known.get(signed.kid)
        if key is None:
            return f"it is signed by key {signed.kid[:16]}, which is not known"
        if self.pinned and signed.kid not in self.pinned:
            return f"it is signed by key {signed.kid[:16]}, which is not the one that you noted"
        if not self.pinned and signed.kid != (self.met or signed.kid):
            return f"it is signed by another key than what came before it: {signed.kid[:16]}, not {self.met[:16]}"
        self.met = self.met or signed.kid
        return None if key.verifies(signed.statement.encode(), signed.signature) else "its signature is not right"


@dataclass(slots=True)
class Walk:
    """One tenant's checkpoints and runs, checked as they come.

    Attributes:
        last: the last checkpoint that was given, whether or not it holds.
        covered: how many events of the runs that were given stand behind a checkpoint; `newer` came after the last.
    """

    tenant: TenantId
    keys: Keys
    last: Checkpoint | None = None
    covered: int = 0
    newer: int = 0
    _previous: str = GENESIS
    _hashed: int = 0
    _rooted: bool = True
    _heads: dict[RunId, Head] = field(default_factory=dict[RunId, Head])
    _points: defaultdict[RunId, list[Head]] = field(default_factory=lambda: defaultdict[RunId, list[Head]](list))
    _hashes: dict[int, str] = field(default_factory=dict[int, str])

    def checkpoint(self, number: int, signed: Signed, changes: Changes) -> Iterator[str]:
        """Check the next checkpoint, which its place says has this number."""
        where, expected = f"checkpoint {number}", (self.last.number if self.last else 0) + 1
        try:
            told = Checkpoint.model_validate_json(signed.statement)
        except ValidationError:
            yield f"{where}: it is not as it was written"
            return
        if why := self.keys.refuse(signed):
            yield f"{where}: {why}"
        if number != expected:
            yield f"checkpoint {expected}: it is missing, or out of order: {number} comes in its place"
        elif (told.number, told.tenant) != (number, self.tenant):
            yield f"{where}: it says that it is number {told.number} of {told.tenant}"
        elif told.previous != self._previous:
            yield f"{where}: it does not follow from the checkpoint before: the chain of checkpoints forks here"
        yield from self._changed(where, told, changes)
        self.last, self._previous = told, signed.hash
        self._hashes[number] = signed.hash

    def _changed(self, where: str, told: Checkpoint, changes: Changes) -> Iterator[str]:
        if changes_digest(changes) != told.changes:
            yield f"{where}: the list of what it covers is not the one that was signed"
        for change in changes:
            if change.before != self._heads.get(change.run, Head(0, "")).seq or change.seq <= change.before:
                yield f"{where}: run {change.run} does not go on in it where the checkpoint before left it"
            self._points[change.run].append(Head(change.seq, change.hash))
        advanced(self._heads, changes)
        if (told.runs, told.events) != (len(self._heads), sum(head.seq for head in self._heads.values())):
            yield f"{where}: it counts other runs or events than it covers"
        self._hashed += len(self._heads)
        self._rooted = self._hashed <= MOST_LEAVES
        if self._rooted and root_over(self._heads) != told.root:
            yield f"{where}: its root is not that of the runs that it covers"

    def anchored(self, number: int, data: bytes | None, signed: Signed | None) -> Iterator[str]:
        """Compare what is anchored under a number with the store's."""
        if data is None and signed is not None:
            yield f"checkpoint {number}: it was never anchored, or the anchor is gone"
        elif data is not None and signed is None:
            yield f"checkpoint {number}: it is anchored, and missing here: checkpoints were deleted or cut off"
        elif data is not None and signed is not None and _read(data) != signed:
            yield f"checkpoint {number}: it is anchored otherwise than it is here"

    def is_here(self, number: int, hash_: str) -> Iterator[str]:
        """Check that a checkpoint that somebody vouches for is among those that were given."""
        if number and self._hashes.get(number) != hash_:
            yield f"checkpoint {number}: it was anchored, and is missing here or another: checkpoints were cut off"

    def run(self, run: RunId, events: Sequence[RawEvent]) -> Iterator[str]:
        """Check a run whose chain was checked already against every checkpoint that covers it."""
        points = self._points.pop(run, [])
        self.covered += points[-1].seq if points else 0
        self.newer += max(0, len(events) - (points[-1].seq if points else 0))
        for point in points:
            if point.seq > len(events):
                yield f"{run} event {len(events) + 1}: it is missing: a checkpoint covers up to event {point.seq}"
                return
            if events[point.seq - 1].hash != point.hash:
                yield f"{run} event {point.seq}: it is another than a checkpoint covers: the run was written anew"
                return

    def missing(self) -> Iterator[str]:
        """Name what should have come by now and did not."""
        if self.last and not self._rooted and root_over(self._heads) != self.last.root:
            yield f"checkpoint {self.last.number}: its root is not that of the runs that it covers"
        for run in sorted(self._points):
            yield f"{run}: the whole run is missing: a checkpoint covers it"


def _read(data: bytes) -> Signed | None:
    try:
        return Signed.model_validate_json(data)
    except ValidationError:
        return None


class Inclusion(BaseModel):
    """That a checkpoint covers a run up to an event, to be checked without any other run.

    Attributes:
        seq: of the event, whose hash is `hash`.
        index: of the run's leaf among as many as the checkpoint has runs.
        path: from that leaf to the root, in hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: Signed
    seq: int
    hash: str
    index: int
    path: tuple[str, ...]


def check_inclusion(
    tenant: TenantId, run: RunId, inclusion: Inclusion, events: Sequence[RawEvent], keys: Keys
) -> Iterator[str]:
    """Check a run whose chain was checked already against the checkpoint that came with it."""
    where = f"{run}: the checkpoint that came with it"
    try:
        told = Checkpoint.model_validate_json(inclusion.checkpoint.statement)
        path = [bytes.fromhex(step) for step in inclusion.path]
    except ValueError:
        yield f"{where} is not as it was written"
        return
    if why := keys.refuse(inclusion.checkpoint):
        yield f"{where}: {why}"
    leaf = head_leaf(run, Head(inclusion.seq, inclusion.hash))
    root = root_by_path(leaf, inclusion.index, told.runs, path)
    if told.tenant != tenant or root is None or root.hex() != told.root:
        yield f"{where} does not cover it"
    elif inclusion.seq > len(events):
        yield f"{run} event {len(events) + 1}: it is missing: a checkpoint covers the run up to event {inclusion.seq}"
    elif events[inclusion.seq - 1].hash != inclusion.hash:
        yield f"{run} event {inclusion.seq}: it is another than the one that a checkpoint covers"


def one_checkpoint(
    tenant: TenantId, before: Signed | None, number: int, signed: Signed, changes: Changes, keys: Keys
) -> Iterator[str]:
    """Check one checkpoint by itself: its signature, what it says it follows, the list of what has changed."""
    try:
        told = Checkpoint.model_validate_json(signed.statement)
    except ValidationError:
        yield f"checkpoint {number}: it is not as it was written"
        return
    if why := keys.refuse(signed):
        yield f"checkpoint {number}: {why}"
    if (told.tenant, told.number) != (tenant, number) or told.previous != (before.hash if before else GENESIS):
        yield f"checkpoint {number}: it does not follow from the checkpoint before"
    if changes_digest(changes) != told.changes:
        yield f"checkpoint {number}: the list of what it covers is not the one that was signed"


def one_change(change: Change, events: Sequence[RawEvent]) -> Iterator[str]:
    """Check that the event which a checkpoint covers is the one that is stored; `events` has it, or nothing."""
    if not events:
        yield f"{change.run} event {change.seq}: it is missing: a checkpoint covers it"
    elif events[0].hash != change.hash:
        yield f"{change.run} event {change.seq}: it is another than the one that a checkpoint covers"
