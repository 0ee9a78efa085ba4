"""What followers of a run see: each piece of text once, with the step that it belongs to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from interaction_samples import ANNA, Tale, answered, asked

from core import Confidentiality, ContentRef, Label, RunId, TenantContext
from core.events import Stored
from orchestration.live import Hub, Live
from orchestration.records import CollectionRecord, DocumentRecord
from orchestration.runs import Runs
from orchestration.turn import Services


@dataclass
class Slow:
    """A store whose log is read so slowly that the run goes on meanwhile: the step ends and the next one begins."""

    tale: Tale
    live: Live
    context = ANNA

    def tenant(self, context: TenantContext) -> "Slow":
        return self

    @property
    def log(self) -> "Slow":
        return self

    content = log

    @property
    def records(self) -> "Documents":
        return Documents()

    async def read(self, run: RunId, *, after: int = 0) -> Sequence[Stored]:
        *begun, last = self.tale.events
        for stored in begun:
            self.live.event(stored)
        self.live.delta("The next step.")
        self.live.event(last)
        return begun

    @property
    def knowledge(self) -> "Lasting":
        return Lasting()

    async def get(self, ref: ContentRef) -> bytes:
        return await self.tale.fetch(ref)


class Lasting:
    """Passages of which none has expired."""

    async def over(self, terms: Sequence[object]) -> Sequence[str]:
        return []


class Documents:
    """The records of documents that are all still there, in a collection for everybody; and no others."""

    async def get(self, model: type[object], key: str) -> SimpleNamespace | None:
        if model is DocumentRecord:
            value = SimpleNamespace(
                id=key, collection="c", owner="", erasing=False, term=None, content=SimpleNamespace(id=key)
            )
            return SimpleNamespace(key=key, value=value)
        if model is CollectionRecord:
            level = Confidentiality.INTERNAL
            return SimpleNamespace(
                key=key, value=SimpleNamespace(id=key, readers=(), confidentiality=level, label=Label())
            )
        return None


@dataclass
class Carried:
    hub: Hub
    store: Slow


async def test_text_of_a_step_whose_end_was_shown_is_not_shown_after_it() -> None:
    tale, hub = answered(asked()), Hub()
    live = hub.take(ANNA.tenant, tale.run)
    live.delta("A step that")
    runs = Runs(cast("Services", Carried(hub, Slow(tale, live))), cast("asyncio.TaskGroup", None))
    told = b""
    async for piece in runs.follow(ANNA, tale.run, after=0, until_parked=True, seconds=5):
        told += piece
    assert b"A step that" not in told
    assert told.count(b"event: delta") == 1
    assert told.index(b"event: passages_retrieved") < told.index(b"The next step.") < told.index(b"event: run_ended")
