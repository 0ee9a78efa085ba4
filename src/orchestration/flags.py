"""Flags: what readers hold against an answer. They stand in the run's own log, behind its end, with the evidence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core import Actor, Clock, Content, ContentClass, ContentRef, FlagId, RunId, derived_id
from core.bodies import AnswerFlagged, Body, FlagResolved
from core.errors import Conflict, NotFound
from core.events import Stored
from core.parts import FlagKind
from data import RunWriter, TenantData
from orchestration.state import fold

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as the log has it; `resolved` is None while it is open."""

    id: FlagId
    kind: FlagKind
    reason: ContentRef
    by: Actor
    at: str
    resolved: FlagResolved | None = None
    resolved_by: Actor | None = None
    resolved_at: str = ""


def flags_of(events: Sequence[Stored]) -> dict[FlagId, Flag]:
    """Return the flags of a run's answer, in the order in which they came."""
    flags: dict[FlagId, Flag] = {}
    for event in (stored.event for stored in events):
        match event.body:
            case AnswerFlagged(flag=flag, kind=kind, reason=reason):
                flags[flag] = Flag(flag, kind, reason, event.actor, event.at)
            case FlagResolved(flag=flag) as body:
                old = flags[flag]
                flags[flag] = Flag(flag, old.kind, old.reason, old.by, old.at, body, event.actor, event.at)
            case _:
                pass
    return flags


async def flag_answer(data: TenantData, clock: Clock, run: RunId, kind: FlagKind, reason: str) -> tuple[Flag, bool]:
    """Write the principal's flag, and return it and whether it is new: each reader has one, sent again it is the same.

    Raises:
        Conflict: there is no answer (`flag.no_answer`), or the reader has flagged it otherwise (`flag.exists`).
    """
    flag = FlagId(derived_id("flg", data.context.tenant, run, data.context.principal.id))

    async def say(events: Sequence[Stored], stored: ContentRef) -> Body | None:
        progress, found = fold(events), flags_of(events).get(flag)
        if progress.answer is None or not progress.ended:
            raise Conflict("This run has no answer that could be flagged.", code="flag.no_answer")
        if found is None:
            return AnswerFlagged(flag=flag, kind=kind, reason=stored)
        if found.kind is not kind or not await data.content.matches(found.reason, reason.encode()):
            raise Conflict("You have flagged this answer already.", code="flag.exists")
        return None

    return await _append(data, clock, run, flag, reason, say)


async def resolve_flag(data: TenantData, clock: Clock, run: RunId, flag: FlagId, reason: str) -> Flag:
    """Write that the principal has dealt with a flag; the same said again changes nothing.

    Raises:
        NotFound: the run has no such flag.
        Conflict: it was resolved already (`flag.resolved`).
    """

    async def say(events: Sequence[Stored], stored: ContentRef) -> Body | None:
        found = flags_of(events).get(flag)
        if found is None:
            raise NotFound("There is no such flag.")
        if found.resolved is None:
            return FlagResolved(flag=flag, reason=stored)
        same = found.resolved_by == data.context.principal.actor
        if not (same and await data.content.matches(found.resolved.reason, reason.encode())):
            raise Conflict("This flag was resolved already. Read it to see how.", code="flag.resolved")
        return None

    return (await _append(data, clock, run, flag, reason, say))[0]


async def _append(
    data: TenantData,
    clock: Clock,
    run: RunId,
    flag: FlagId,
    reason: str,
    say: Callable[[Sequence[Stored], ContentRef], Awaitable[Body | None]],
) -> tuple[Flag, bool]:
    """Append what `say` makes of the log as it is, behind whoever is faster; return the flag and whether it changed."""
    content = Content.new(reason.encode(), kind=ContentClass.REASON, owner=data.context.principal.id)
    for _ in range(_ATTEMPTS):
        writer = await RunWriter.load(data, run, actor=data.context.principal.actor, clock=clock)
        body = await say(writer.events, content.ref)
        if body is None:
            return flags_of(writer.events)[flag], False
        try:
            await writer.append([body], [content])
        except Conflict:
            continue
        return flags_of(writer.events)[flag], True
    raise Conflict("Too many writers at once; try again in a moment.", code="conflict.sequence")
