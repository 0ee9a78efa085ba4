"""Which checkpoint covers a run, and the proof of it that needs no other run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from core import RunId
from core.merkle import levels_of, path_of
from data.checkpoint_checks import Inclusion
from data.checkpoints import (
    Changes,
    Checkpoint,
    EvidenceKeyRecord,
    Head,
    Heads,
    advanced,
    checkpoints,
    latest_number,
    leaves_of,
    read_checkpoint,
)
from data.ports import Records, TenantData
from data.signatures import PublicKey, Signed


class CheckpointLine(BaseModel):
    """A checkpoint in an archive: what is signed, and the runs that had gone on since the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    signed: Signed
    changes: Changes


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of a tenant's last checkpoint."""

    signed: Signed
    heads: Heads
    levels: Sequence[Sequence[bytes]]
    index: dict[RunId, int]

    def inclusion(self, run: RunId) -> Inclusion | None:
        """Return the proof that the checkpoint covers a run; None if it does not."""
        if run not in self.index:
            return None
        head, index = self.heads[run], self.index[run]
        path = tuple(step.hex() for step in path_of(self.levels, index))
        return Inclusion(checkpoint=self.signed, seq=head.seq, hash=head.hash, index=index, path=path)


async def tree_of(data: TenantData) -> Tree | None:
    """Return the tree of the tenant's last checkpoint; None if it has none. Reads all of them."""
    heads, signed = dict[RunId, Head](), None
    async for found in checkpoints(data):
        advanced(heads, found.value.changes)
        signed = found.value.signed
    if signed is None:
        return None
    return Tree(signed, heads, levels_of(leaves_of(heads)), {run: place for place, run in enumerate(sorted(heads))})


class Covering(NamedTuple):
    """The first checkpoint that covers an event of a run."""

    number: int
    at: str


async def covering(data: TenantData, run: RunId, seq: int, at: str) -> Covering | None:
    """Return the first checkpoint that covers event `seq` of a run, written at `at`; None if none does yet.

    Checkpoints are in the order of time, so a few looks find the first that was made afterwards. What came while one
    was made may be in that one or the next, and clocks of two processes differ a little: so its neighbours count too.
    """
    last = await latest_number(data)
    below, above = 0, last + 1
    while above - below > 1:
        middle = (below + above) // 2
        record = await read_checkpoint(data, middle)
        is_before = record is not None and _made_at(record.signed) < at
        below, above = (middle, above) if is_before else (below, middle)
    for number in range(max(1, above - 1), min(last, above + 1) + 1):
        record = await read_checkpoint(data, number)
        if record and any(change.run == run and change.before < seq <= change.seq for change in record.changes):
            return Covering(number, _made_at(record.signed))
    return None


async def evidence_keys(publisher: Records) -> list[PublicKey]:
    """Return the public keys that evidence was signed with, as the publisher's records have them."""
    return [found.value.key for found in (await publisher.list(EvidenceKeyRecord)).items]


def _made_at(signed: Signed) -> str:
    return Checkpoint.model_validate_json(signed.statement).at
