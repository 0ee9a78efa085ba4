"""A tenant with runs, a key, an anchor and a checkpointer; and ways to forge what they leave."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store_samples import member, opened, run_id, step

from control import contexts
from core import GENESIS, RunId, TenantContext, TenantId
from core.events import Stored
from data import (
    Change,
    Checkpoint,
    CheckpointRecord,
    Keys,
    RawEvent,
    RunWriter,
    Signed,
    Store,
    Walk,
    advanced,
    changes_digest,
    checkpoints,
    evidence_keys,
    read_raw,
    root_over,
    verify_run,
)
from data.checkpoints import Head
from data.notary import FileAnchor, LocalSigner
from orchestration import Checkpointer


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


@dataclass
class Vouched:
    """A store that checkpoints are made of."""

    store: Store
    folder: Path
    clock: Hands
    signer: LocalSigner
    anchor: FileAnchor
    checkpointer: Checkpointer
    context: TenantContext

    @classmethod
    def over(cls, store: Store, folder: Path, context: TenantContext | None = None) -> "Vouched":
        clock, signer = Hands(), LocalSigner(folder / "key.pem")
        anchor = FileAnchor(folder / "anchors")
        made = Checkpointer(store, signer, anchor, clock, timedelta(minutes=10))
        return cls(store, folder, clock, signer, anchor, made, context or member())

    @property
    def tenant(self) -> TenantId:
        return self.context.tenant

    async def make_due(self) -> bool:
        """Have checkpoints made when it is time again."""
        self.clock.time += timedelta(minutes=10)
        return await self.checkpointer.make()

    async def append(self, run: RunId | None = None, events: int = 2) -> RunId:
        run = run or run_id()
        data = self.store.tenant(self.context)
        writer = RunWriter(data, run, actor=self.context.principal.actor, clock=self.clock)
        if found := await data.log.read(run):
            writer.events, writer.durable = list(found), len(found)
        await writer.append([step() if writer.seq or number else opened() for number in range(events)])
        return run

    async def kept(self) -> list[CheckpointRecord]:
        return [found.value async for found in checkpoints(self.store.tenant(self.context))]

    async def runs(self) -> dict[RunId, list[RawEvent]]:
        data = self.store.tenant(self.context)
        return {run: await read_raw(data, run) async for run in self.store.governed.runs(self.tenant)}

    async def keys(self) -> Keys:
        records = self.store.tenant(contexts.publisher("test")).records
        return Keys({key.kid: key for key in await evidence_keys(records)})

    async def findings(
        self,
        kept: Sequence[tuple[int, CheckpointRecord]] | None = None,
        runs: Mapping[RunId, list[RawEvent]] | None = None,
        keys: Keys | None = None,
    ) -> list[str]:
        """Return what does not hold: of what is stored, or of what is given in its place."""
        walk = Walk(self.tenant, keys or await self.keys())
        broken = list[str]()
        for number, record in kept if kept is not None else list(enumerate(await self.kept(), 1)):
            broken += walk.checkpoint(number, record.signed, record.changes)
        for run, events in (runs if runs is not None else await self.runs()).items():
            verdict = verify_run(self.tenant, run, events)
            broken += [f"{run} event {verdict.events + 1}: {verdict.broken.value}"] if verdict.broken else []
            broken += walk.run(run, events)
        return [*broken, *walk.missing()]


def resealed(events: Sequence[RawEvent], position: int, data: bytes) -> list[RawEvent]:
    """Return a run with other bytes at one place, and every hash from there on made anew, as a forger would."""
    forged, previous = list[RawEvent](), GENESIS
    for number, raw in enumerate(events):
        event = Stored.parse(data if number == position else raw.data).event
        stored = Stored.seal(event.model_copy(update={"prev": previous}))
        forged.append(RawEvent(raw.seq, stored.data, stored.hash))
        previous = stored.hash
    return forged


async def forged(
    tenant: TenantId, signer: LocalSigner, lists: Sequence[Sequence[Change]], at: str
) -> list[CheckpointRecord]:
    """Return a chain of checkpoints that holds by itself, over changes that somebody made up."""
    heads, previous, made = dict[RunId, Head](), GENESIS, list[CheckpointRecord]()
    for number, changes in enumerate(lists, 1):
        advanced(heads, changes)
        told = Checkpoint(
            tenant=tenant,
            number=number,
            previous=previous,
            at=at,
            runs=len(heads),
            events=sum(head.seq for head in heads.values()),
            root=root_over(heads),
            changes=changes_digest(changes),
        )
        signed = await Signed.by(signer, told.canonical())
        made.append(CheckpointRecord(signed=signed, changes=tuple(changes)))
        previous = signed.hash
    return made


def flipped(signature: str) -> str:
    """Return a signature with its last bit changed."""
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[-1] ^= 1
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
