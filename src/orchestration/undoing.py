"""Taking back what a run has done: which effects there are, and a run of its own that undoes one.

Such a run is opened by a person and has no model in it: its one action is the tool's own compensation, with arguments
from the stored receipt. Like every effect it is decided by the gate, may need colleagues, and happens at most once. Its
id follows from the effect and the attempt, so two people who undo the same open the same run, and one of them does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from core import (
    Content,
    ContentClass,
    ContentRef,
    Effect,
    Json,
    Label,
    Role,
    RunId,
    TenantContext,
    canonical,
    derived_id,
)
from core.bodies import DecisionMade, ToolFinished
from core.errors import Conflict, NotFound, Unprocessable
from core.events import Stored
from core.parts import RunKind, RunState, Undoes
from data import RunWriter, TenantData, read_run
from orchestration.opening import Opening, open_run
from orchestration.state import Progress, fold
from orchestration.turn import Services
from tools import Registry, Undo

MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Done:
    """An effect that a run had, or tried to have.

    Attributes:
        seq: number of the event that says how it ended, which names it.
        arguments: with what it was done; None in runs from before that was kept.
        result: the receipt.
    """

    seq: int
    at: str
    step: int
    call: int
    tool: str
    effect: Effect
    outcome: str
    arguments: ContentRef | None
    result: ContentRef | None
    label: Label


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that was to take an effect back, and how far it has come."""

    run: RunId
    progress: Progress

    @property
    def outcome(self) -> str:
        """`under_way`, `done`, `unknown`, `failed` (nothing was done), or `refused` by the rules or a person."""
        finished = self.progress.proposals[0].finished if self.progress.proposals else None
        if self.progress.state is RunState.OUTCOME_UNKNOWN or (finished and finished.outcome in ("unknown", "timeout")):
            return "unknown"
        if finished and finished.outcome == "ok":
            return "done"
        if not self.progress.ended:
            return "under_way"
        return "refused" if self.progress.state is RunState.REFUSED else "failed"


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Which effect of which run is to be taken back, and why."""

    run: RunId
    seq: int
    reason: str


def effects_of(events: Sequence[Stored]) -> list[Done]:
    """Return what a run has done, or tried to, beyond reading."""
    arguments: dict[tuple[int, int], ContentRef | None] = {}
    done: list[Done] = []
    for event in (stored.event for stored in events):
        match event.body:
            case DecisionMade(step=step, call=call, arguments=ref):
                arguments[step, call] = ref
            case ToolFinished() as body if body.effect is not Effect.READ:
                place = (body.step, body.call)
                done.append(
                    Done(
                        *(event.seq, event.at, *place, body.tool, body.effect, body.outcome),
                        arguments=arguments.get(place),
                        result=body.result,
                        label=body.label,
                    )
                )
            case _:
                pass
    return done


async def attempts_at(data: TenantData, run: RunId, seq: int) -> list[Attempt]:
    """Return the runs that were to take an effect back, the first one first."""
    found: list[Attempt] = []
    for number in range(MOST_ATTEMPTS):
        attempt = _attempt_id(data, run, seq, number)
        try:
            found.append(Attempt(attempt, fold(await read_run(data, attempt))))
        except NotFound:
            break
    return found


async def open_undo(
    services: Services, context: TenantContext, request: UndoRequest, nonce: str
) -> tuple[RunWriter, Content]:
    """Write the first event of a run that takes an effect back; return its writer and the reason, as content.

    Raises:
        NotFound: there is no such run or effect, or it is for its requester, an admin or the owner alone.
        Conflict: it cannot be taken back (`undo.impossible`), or somebody does so (`undo.under_way`), has done so
            (`undo.done`), or may have (`undo.unknown`).
    """
    data = services.store.tenant(context)
    events = await read_run(data, request.run)
    if not may_undo(context, events):
        raise NotFound("There is no such run, or it is not yours.")
    done = _named(events, request.seq)
    undo = _undo_of(services.registry, done)
    before = await attempts_at(data, request.run, request.seq)
    if before:
        _must_have_done_nothing(before[-1])
    if len(before) == MOST_ATTEMPTS:
        raise Conflict("This was tried too often. Undo it in the system itself.", code="undo.impossible")
    run = _attempt_id(data, request.run, request.seq, len(before))
    reason = Content.new(request.reason.encode(), kind=ContentClass.PROMPT, owner=context.principal.id)
    opening = Opening(
        kind=RunKind.TURN,
        run=run,
        nonce=nonce,
        payload=reason,
        agent=services.agents.get(fold(events).run.agent),
        undoes=Undoes(run=request.run, seq=request.seq, did=done.tool, tool=undo.tool),
    )
    try:
        writer, is_new = await open_run(services, context, opening)
    except (NotFound, Unprocessable):  # somebody else has opened it at this moment
        raise _under_way() from None
    if not is_new:
        raise _under_way()
    return writer, reason


async def arguments_for(data: TenantData, registry: Registry, undoes: Undoes) -> tuple[bytes, Label]:
    """Return what the compensation is called with, from the record of what it takes back, and the label of that.

    Raises:
        Conflict: it cannot be taken back any more.
        NotFound: the record was erased.
    """
    done = _named(await read_run(data, undoes.run), undoes.seq)
    undo = _undo_of(registry, done)
    if undo.tool != undoes.tool:
        raise Conflict("What was done is taken back in another way now.", code="undo.impossible")
    assert done.arguments is not None
    assert done.result is not None
    given: dict[str, Json] = orjson.loads(await data.content.get(done.arguments))
    returned: dict[str, Json] = orjson.loads(await data.content.get(done.result))
    return canonical(undo.of(given, returned)), done.label


def may_undo(context: TenantContext, events: Sequence[Stored]) -> bool:
    """Return whether somebody may have what a run did taken back: who asked for it, an admin or the owner."""
    own = events[0].event.actor == context.principal.actor and not context.has(Role.AUDITOR)
    return own or context.has(Role.ADMIN, Role.OWNER)


def why_not(registry: Registry, done: Done) -> str:
    """Return why an effect cannot be taken back, whoever asks; empty if it can."""
    tool = registry.get(done.tool)
    if done.outcome == "failed":
        return "It was not done, so there is nothing to take back."
    if done.outcome != "ok":
        return "Nobody here can say whether it was done. Look in the system itself."
    if tool is None or tool.undone_by is None:
        return "There is no way to take this back from here."
    if done.arguments is None or done.result is None:
        return "What is needed to take it back was not kept."
    return ""


def _undo_of(registry: Registry, done: Done) -> Undo:
    if because := why_not(registry, done):
        raise Conflict(because, code="undo.impossible")
    tool = registry.get(done.tool)
    assert tool
    assert tool.undone_by
    return tool.undone_by


def _named(events: Sequence[Stored], seq: int) -> Done:
    found = next((done for done in effects_of(events) if done.seq == seq), None)
    if found is None:
        raise NotFound("This run has no such effect.")
    return found


def _attempt_id(data: TenantData, run: RunId, seq: int, number: int) -> RunId:
    # mandate: equal[key] - no other tenant has a run of this id
    return RunId(derived_id("run", "undo", data.context.tenant, run, str(seq), str(number)))


def _must_have_done_nothing(attempt: Attempt) -> None:
    match attempt.outcome:
        case "done":
            raise Conflict("This was taken back already.", code="undo.done")
        case "unknown":
            raise Conflict(
                "Nobody here can say whether it was taken back. Look in the system itself.", code="undo.unknown"
            )
        case "under_way":
            raise _under_way()
        case _:
            pass


def _under_way() -> Conflict:
    return Conflict("Somebody is taking this back already.", code="undo.under_way")
