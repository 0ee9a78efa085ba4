"""Checkpoints over all tenants' evidence, made every few minutes where something was appended, and when asked for.

What was appended is read from the change feed, so that nothing is written for it at the time. Of several processes one
makes them: it holds a turn, a record with an ETag. Were two at it, the number of a checkpoint can be created once.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

from pydantic import ConfigDict

from control import contexts
from core import GENESIS, Clock, RunId, TenantId, new_id, parse_timestamp, timestamp
from core.errors import Conflict, Defect, MandateError, PreconditionFailed, Unavailable
from data import (
    INLINE,
    Anchor,
    Change,
    ChangesRecord,
    Checkpoint,
    CheckpointRecord,
    EvidenceKeyRecord,
    FedHead,
    Head,
    Record,
    Records,
    Signed,
    Signer,
    Store,
    TenantData,
    advanced,
    anchored,
    changes_digest,
    checkpoint_key,
    checkpoints,
    part_key,
    read_checkpoint,
    root_over,
)
from telemetry import log

LOOK_SECONDS = 5.0
TURN = timedelta(seconds=30)
"""So long a process that makes checkpoints is waited for, if it is not heard of."""

ATTEMPTS = 5
"""So often a checkpoint is tried that somebody asked for, where another process is at it."""

BATCH = 50_000
"""Events that are read before checkpoints are made of them."""

KEPT = 200_000
"""Heads that are kept in memory, over all tenants; more are read again each time."""


class TurnRecord(Record):
    """Whose turn it is to make checkpoints, in the publisher's tenant. Key: `TURN_KEY`.

    Attributes:
        position: how far the change feed is in checkpoints.
        at: when they were last made.
        holder: who makes some now, and has until `until`; empty if nobody does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "checkpoint_turn"

    position: str = ""
    at: str = ""
    holder: str = ""
    until: str = ""


TURN_KEY = "turn"


class _Known:
    """How far each run of a tenant is in its last checkpoint."""

    def __init__(self) -> None:
        self.number = 0
        self.hash = GENESIS
        self.heads: dict[RunId, Head] = {}

    def add(self, number: int, record: CheckpointRecord) -> None:
        self.number = number
        self.hash = record.signed.hash
        advanced(self.heads, record.changes)


class Checkpointer:
    """Makes checkpoints; `every` is how often, where something was appended."""

    def __init__(self, store: Store, signer: Signer, anchor: Anchor, clock: Clock, every: timedelta) -> None:
        self._store = store
        self._signer = signer
        self._anchor = anchor
        self._clock = clock
        self._every = every
        self._me = new_id("prc")
        self._known: OrderedDict[TenantId, _Known] = OrderedDict()

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("checkpoints")).records

    async def run(self) -> None:
        """Make checkpoints when they are due, until cancelled; what cannot be done now is done the next time."""
        while True:
            try:
                await self.make()
            except MandateError as error:
                log(logging.WARNING, "Checkpoints were left for later", code=error.code)
            await asyncio.sleep(LOOK_SECONDS)

    async def now(self, tenant: TenantId) -> None:
        """Bring all that is appended of one tenant under a checkpoint, and nothing of another's.

        The feed is read from where the last round ended, and stays there: the next one finds this known.

        Raises:
            Conflict: other processes were faster each time.
        """
        for _ in range(ATTEMPTS):
            found = await self._records.get(TurnRecord, TURN_KEY)
            position, more, heads = found.value.position if found else "", True, dict[RunId, Head]()
            while more:
                position, changed, more = await self._appended(position)
                heads |= changed.get(tenant, {})
            with suppress(PreconditionFailed):
                await self._checkpoint(tenant, heads)
                return
        raise Conflict("Checkpoints are being made; try again in a moment.")

    async def make(self) -> bool:
        """Make checkpoints if it is time; return whether this process did."""
        found = await self._records.get(TurnRecord, TURN_KEY)
        turn, etag = (found.value, found.etag) if found else (TurnRecord(), None)
        now = self._clock.now()
        if turn.holder and now < parse_timestamp(turn.until):
            return False
        if turn.at and now < parse_timestamp(turn.at) + self._every:
            return False
        mine = turn.model_copy(update={"holder": self._me, "until": timestamp(now + TURN)})
        try:
            await self._all(mine, await self._records.put(TURN_KEY, mine, etag=etag))
        except PreconditionFailed:
            return False
        finally:
            await self._let_go()
        return True

    async def _let_go(self) -> None:
        """Leave the turn to others, where something went wrong with it."""
        found = await self._records.get(TurnRecord, TURN_KEY)
        if found and found.value.holder == self._me:
            with suppress(PreconditionFailed):
                await self._records.put(TURN_KEY, found.value.model_copy(update={"holder": ""}), etag=found.etag)

    async def _all(self, turn: TurnRecord, etag: str) -> None:
        """Read the feed to its end, a batch at a time; what was read counts when its checkpoints are made."""
        more = True
        while more:
            position, changed, more = await self._appended(turn.position)
            for tenant, heads in changed.items():
                try:
                    await self._checkpoint(tenant, heads)
                except Defect as error:  # of one tenant, whose checkpoints were changed: the verification says where
                    log(logging.ERROR, "No checkpoint could be made", tenant=tenant, code=error.code)
            now = self._clock.now()
            held = {"holder": self._me, "until": timestamp(now + TURN)} if more else {"holder": ""}
            turn = turn.model_copy(update={**held, "position": position, "at": timestamp(now)})
            etag = await self._records.put(TURN_KEY, turn, etag=etag)

    async def _appended(self, position: str) -> tuple[str, dict[TenantId, dict[RunId, Head]], bool]:
        """Return where to read on, how far which runs have come, and whether there may be more."""
        changed, count = dict[TenantId, dict[RunId, Head]](), 0
        while count < BATCH:
            heads, after = await self._store.platform.heads(after=position)
            if not heads:
                return after or position, changed, False
            for fed in heads:
                _further(changed.setdefault(fed.tenant, {}), fed)
            position, count = after, count + len(heads)
        return position, changed, True

    async def _checkpoint(self, tenant: TenantId, appended: Mapping[RunId, Head]) -> None:
        data = self._store.tenant(contexts.from_log(tenant))
        known = await self._current(data)
        changes = [
            Change(run, known.heads[run].seq if run in known.heads else 0, *appended[run]) for run in sorted(appended)
        ]
        changes = [change for change in changes if change.seq > change.before]
        if changes:
            record = await self._made(data, known, changes)
            known.add(known.number + 1, record.model_copy(update={"changes": tuple(changes)}))
        if known.number:
            await self._anchored(data, known.number)
        self._keep(tenant, known)

    async def _current(self, data: TenantData) -> _Known:
        """Return how far the tenant's checkpoints are; only what this process has not seen is read."""
        known = self._known.pop(data.context.tenant, None)
        if known is None:
            known = _Known()
            async for found in checkpoints(data):
                known.add(int(found.key), found.value)
        while record := await read_checkpoint(data, known.number + 1):
            known.add(known.number + 1, record)
        return known

    async def _made(self, data: TenantData, known: _Known, changes: list[Change]) -> CheckpointRecord:
        """Sign and store the next checkpoint; raises `PreconditionFailed` if another process was faster."""
        heads = dict(known.heads)
        advanced(heads, changes)
        told = Checkpoint(
            tenant=data.context.tenant,
            number=known.number + 1,
            previous=known.hash,
            at=timestamp(self._clock.now()),
            runs=len(heads),
            events=sum(head.seq for head in heads.values()),
            root=await asyncio.to_thread(root_over, heads),
            changes=changes_digest(changes),
        )
        signed = await Signed.by(self._signer, told.canonical())
        await self._published()
        rest = [changes[start : start + INLINE] for start in range(INLINE, len(changes), INLINE)]
        for part, more in enumerate(rest):
            with suppress(PreconditionFailed):  # whoever did this before was stopped: it is the same
                key = part_key(told.number, told.changes, part)
                await data.records.put(key, ChangesRecord(changes=tuple(more)), etag=None)
        record = CheckpointRecord(signed=signed, changes=tuple(changes[:INLINE]), parts=len(rest))
        await data.records.put(checkpoint_key(told.number), record, etag=None)
        return record

    async def _published(self) -> None:
        """Let everybody who verifies know the public key."""
        key = await self._signer.key()
        if await self._records.get(EvidenceKeyRecord, key.kid) is None:
            with suppress(PreconditionFailed):
                await self._records.put(key.kid, EvidenceKeyRecord(key=key), etag=None)

    async def _anchored(self, data: TenantData, number: int) -> None:
        """Anchor a checkpoint, and those before it that are not yet, since the anchor was away or we were stopped."""
        try:
            while number and (record := await data.records.get(CheckpointRecord, checkpoint_key(number))):
                await self._anchor.put(data.context.tenant, number, anchored(record.value.signed))
                number -= 1
                if number and await self._anchor.read(data.context.tenant, number) is not None:
                    return
        except (Conflict, Unavailable) as error:
            # A store that lost its end: what is anchored stays as it is, and the verification says so.
            log(logging.WARNING, "A checkpoint was not anchored", tenant=data.context.tenant, code=error.code)

    def _keep(self, tenant: TenantId, known: _Known) -> None:
        self._known[tenant] = known
        while len(self._known) > 1 and sum(len(one.heads) for one in self._known.values()) > KEPT:
            self._known.popitem(last=False)


def _further(heads: dict[RunId, Head], fed: FedHead) -> None:
    if fed.run not in heads or heads[fed.run].seq < fed.seq:
        heads[fed.run] = Head(fed.seq, fed.hash)
