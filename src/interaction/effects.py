"""What a run has done, each effect with whether it can be taken back, and what came of trying."""

from collections.abc import Sequence
from typing import Literal

import orjson

from core import Effect, RunId, TenantContext
from core.events import Stored
from data import TenantData, read_run
from interaction.answers import Told
from interaction.decisions import arguments_of, consequence, text_of
from orchestration import Attempt, Done, Fetch, attempts_at, effects_of, fold, may_undo, why_not
from tools import Registry

UndoState = Literal["never", "under_way", "done", "refused", "failed", "unknown"]

_STATES: dict[str, UndoState] = {
    "under_way": "under_way",
    "done": "done",
    "refused": "refused",
    "failed": "failed",
    "unknown": "unknown",
}
_OUTCOMES: dict[str, Literal["done", "failed", "unknown"]] = {"ok": "done", "failed": "failed"}

_BECAUSE = {
    "under_way": "Somebody is taking this back already.",
    "done": "This was taken back.",
    "unknown": "Nobody here can say whether it was taken back. Look in the system itself.",
}


class UndoTold(Told):
    """Whether an effect can be taken back, and what came of it.

    Attributes:
        possible: whether there is a way and nothing speaks against trying it; the other system has the last word.
        because: why it is not possible; null if it is.
        until: when it is too late, as the rest of a sentence that begins with "until"; null where there is no way.
        may: whether you may: it is for who asked for the run, admins and the owner.
        state: of the last attempt: `never` if there was none.
        run: that took it back, or tried to; null if none did.
        said: why the last attempt failed, in the words of the other system; null if it did not.
    """

    possible: bool
    because: str | None
    until: str | None
    may: bool
    state: UndoState
    run: RunId | None
    said: str | None


class EffectTold(Told):
    """One thing that a run has done, or tried to.

    Attributes:
        seq: number of the event that says how it ended; it names the effect.
        consequence: what it does, in plain words. Values in quotation marks were chosen by the model.
        outcome: `unknown` if nobody here can say whether it was done.
    """

    seq: int
    at: str
    tool: str
    effect: Effect
    consequence: str
    outcome: Literal["done", "failed", "unknown"]
    undo: UndoTold


class EffectList(Told):
    """In the order in which they were done; what only reads is not among them."""

    items: list[EffectTold]


async def effects_told(
    events: Sequence[Stored], data: TenantData, fetch: Fetch, registry: Registry
) -> list[EffectTold]:
    """Return what a run has done, for the principal of `data`, who may read it."""
    run = events[0].event.run
    return [
        await _told(done, await attempts_at(data, run, done.seq), events, data.context, fetch, registry)
        for done in effects_of(events)
    ]


async def undone_by(events: Sequence[Stored], data: TenantData, fetch: Fetch, registry: Registry) -> str | None:
    """Return what an earlier run did, in plain words, where this one takes it back; None where it takes nothing."""
    undoes = fold(events).run.undoes
    if undoes is None:
        return None
    done = next(one for one in effects_of(await read_run(data, undoes.run)) if one.seq == undoes.seq)
    tool = registry.get(done.tool)
    return consequence(tool, await arguments_of(done.arguments, fetch)) if tool else f"Calls {done.tool}."


async def _told(
    done: Done,
    attempts: Sequence[Attempt],
    events: Sequence[Stored],
    context: TenantContext,
    fetch: Fetch,
    registry: Registry,
) -> EffectTold:
    tool = registry.get(done.tool)
    last = attempts[-1] if attempts else None
    because = why_not(registry, done) or (_BECAUSE.get(last.outcome, "") if last else "")
    return EffectTold(
        seq=done.seq,
        at=done.at,
        tool=done.tool,
        effect=done.effect,
        consequence=consequence(tool, await arguments_of(done.arguments, fetch)) if tool else f"Calls {done.tool}.",
        outcome=_OUTCOMES.get(done.outcome, "unknown"),
        undo=UndoTold(
            possible=not because,
            because=because or None,
            until=tool.undone_by.until if tool and tool.undone_by else None,
            may=may_undo(context, events),
            state=_STATES[last.outcome] if last else "never",
            run=last.run if last else None,
            said=await _said(last, fetch) if last and last.outcome == "failed" else None,
        ),
    )


async def _said(attempt: Attempt, fetch: Fetch) -> str | None:
    """Return why the other system did not do it."""
    finished = attempt.progress.proposals[0].finished
    if finished is None or finished.result is None:
        return None
    try:
        told: dict[str, str] = orjson.loads(await text_of(finished.result, fetch))
    except orjson.JSONDecodeError:
        return None  # erased
    return told.get("detail")
