"""Opening a run: its first event pins what is in force, and its id makes a retried request find the first attempt."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from control import AgentManifest
from core import (
    Actor,
    Content,
    ContentClass,
    ContentRef,
    ConversationId,
    PrincipalKind,
    RunId,
    TenantContext,
    derived_id,
    timestamp,
)
from core.bodies import RunOpened
from core.errors import Conflict, NotFound, PreconditionFailed, Unprocessable
from core.parts import RunKind, RunState, Undoes, Versions
from data import RunWriter, TenantData, read_run
from orchestration.conversation_records import own_conversation
from orchestration.quoting import Quoted, quoted_bytes
from orchestration.records import ConversationRecord
from orchestration.retrieval import EMBED
from orchestration.state import fold
from orchestration.turn import Services


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a person asks: `run` is minted at the edge, from the idempotency key where there is one.

    `replaces` is the last turn of `conversation`, whose place this one takes.
    """

    run: RunId
    agent: str
    message: str
    conversation: ConversationId | None = None
    use_knowledge: bool = True
    quoted: tuple[Quoted, ...] = ()
    replaces: RunId | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a run is opened with, whatever its kind.

    Attributes:
        nonce: of the assertion that caused it; the first append claims it.
        payload: what the person sent; a retried request must send the same.
        quoted: what their program sent along with it, likewise.
        attachment: a file that came with it.
        undoes: the effect that it takes back.
    """

    kind: RunKind
    run: RunId
    nonce: str
    payload: Content
    quoted: Content | None = None
    attachment: Content | None = None
    agent: AgentManifest | None = None
    conversation: ConversationId | None = None
    use_knowledge: bool = False
    replaces: RunId | None = None
    undoes: Undoes | None = None


async def open_turn(
    services: Services, context: TenantContext, request: TurnRequest, nonce: str
) -> tuple[RunWriter, bool]:
    """Write the first event of a turn, and return its writer and whether it is new; durable on return.

    Raises:
        NotFound: no such agent, or a conversation that is not the principal's.
        Conflict: the conversation has a turn under way, what is to be replaced is not its last turn, or the same
            assertion was sent before.
        Unprocessable: the idempotency key was used for another message.
    """
    agent = services.agents.get(request.agent)
    if agent is None:
        raise NotFound("There is no such agent. See GET /v1/agents for those that you can talk to.")
    context = context.acting(Actor(kind=PrincipalKind.AGENT, id=agent.principal(context.tenant)))
    message = Content.new(request.message.encode(), kind=ContentClass.PROMPT, owner=context.principal.id)
    new = request.conversation is None
    opening = Opening(
        kind=RunKind.TURN,
        run=request.run,
        nonce=nonce,
        payload=message,
        quoted=_quoted(request, context),
        agent=agent,
        conversation=request.conversation or ConversationId(derived_id("cnv", context.tenant, request.run)),
        use_knowledge=request.use_knowledge,
        replaces=request.replaces,
    )
    if not new:
        await _join(services, context, request, message)
        return await open_run(services, context, opening)
    writer = await _staged(services, context, opening)
    opened, _ = await asyncio.gather(  # in one write
        _written(services, opening, writer), _begin_conversation(services, context, opening)
    )
    return opened


async def open_run(services: Services, context: TenantContext, opening: Opening) -> tuple[RunWriter, bool]:
    """Write a run's first event, or find that it was written before. Raises as `open_turn` does."""
    return await _written(services, opening, await _staged(services, context, opening))


async def _staged(services: Services, context: TenantContext, opening: Opening) -> RunWriter:
    data = services.store.tenant(context)
    writer = RunWriter(data, opening.run, actor=context.principal.actor, clock=services.clock)
    beside = [piece for piece in (opening.quoted, opening.attachment) if piece]
    writer.stage([await _first_event(services, data, opening)], [opening.payload, *beside])
    await writer.prepare()
    return writer


async def _written(services: Services, opening: Opening, writer: RunWriter) -> tuple[RunWriter, bool]:
    try:
        await writer.commit()
    except Conflict:
        return await _existing(services, writer.data, opening), False
    return writer, True


async def _first_event(services: Services, data: TenantData, opening: Opening) -> RunOpened:
    context, agent = data.context, opening.agent
    limits = agent.limits if agent else None
    return RunOpened(
        kind=opening.kind,
        roles=tuple(sorted(context.principal.roles)),
        groups=tuple(sorted(context.principal.groups)),
        chain=context.chain,
        plan=context.plan,
        region=context.region,
        correlation=context.correlation,
        nonce=opening.nonce,
        agent=agent.name if agent else "",
        conversation=opening.conversation,
        replaces=opening.replaces,
        undoes=opening.undoes,
        message=opening.payload.ref,
        quoted=opening.quoted.ref if opening.quoted else None,
        attachment=opening.attachment.ref if opening.attachment else None,
        use_knowledge=opening.use_knowledge,
        versions=Versions(
            code=services.code_version,
            agent=f"{agent.name}@{agent.version}" if agent else "",
            prompts=agent.prompts if agent else {},
            policy=await services.gate.policy_version(data),
            models=_pins(services, context, agent, await services.features(data)),
        ),
        limits=limits,
        deadline=timestamp(services.clock.now() + timedelta(seconds=limits.seconds)) if limits else "",
        carrier=services.carriers.lease.id,
    )


def _pins(
    services: Services, context: TenantContext, agent: AgentManifest | None, features: Collection[str]
) -> dict[str, str]:
    logical = (agent.model, EMBED) if agent else (EMBED,)
    return {name: services.models.pin(name, context.plan, context.region, features) for name in logical}


async def _existing(services: Services, data: TenantData, opening: Opening) -> RunWriter:
    """Return the writer of a run that is there already: the request is a retry, or it is refused."""
    writer = await RunWriter.load(data, opening.run, actor=data.context.principal.actor, clock=services.clock)
    first, opened = writer.events[0].event, fold(writer.events).run
    if first.actor != data.context.principal.actor:
        raise NotFound("There is no such run.")
    if opened.nonce == opening.nonce:
        raise Conflict("This request was sent before.", code="assertion.replayed")
    if not (await _same(data, opened.message, opening.payload) and await _same(data, opened.quoted, opening.quoted)):
        raise Unprocessable(
            "This idempotency key was used for another request. Use a new key.", code="request.idempotency_key"
        )
    return writer


async def _same(data: TenantData, stored: ContentRef | None, sent: Content | None) -> bool:
    """Return whether a retried request sends what the first one sent."""
    if stored is None or sent is None:
        return stored is None and sent is None
    return await data.content.matches(stored, sent.data)


def _quoted(request: TurnRequest, context: TenantContext) -> Content | None:
    if not request.quoted:
        return None
    return Content.new(quoted_bytes(request.quoted), kind=ContentClass.PROMPT, owner=context.principal.id)


async def _begin_conversation(services: Services, context: TenantContext, opening: Opening) -> None:
    assert opening.conversation is not None
    assert opening.agent is not None
    record = ConversationRecord(
        id=opening.conversation,
        owner=context.principal.id,
        agent=opening.agent.name,
        opened_at=timestamp(services.clock.now()),
        title=opening.payload.ref,
        runs=(opening.run,),
    )
    with suppress(PreconditionFailed):  # a retry of the request that began it
        await services.store.tenant(context).records.put(opening.conversation, record, etag=None)


async def _join(services: Services, context: TenantContext, request: TurnRequest, message: Content) -> None:
    """Add the run to the conversation that it names, unless a turn is under way there."""
    assert request.conversation is not None
    data = services.store.tenant(context)
    found = await own_conversation(data, request.conversation)
    record = found.value
    if record.deleted_at:
        raise NotFound("There is no such conversation any more. Leave `conversation` out to begin a new one.")
    if request.run in record.runs or request.run in record.replaced:
        return
    if request.replaces:
        joined = await _replacing(data, record, request, message)
    else:
        await _must_be_idle(data, record.runs[-1])
        joined = record.model_copy(update={"runs": (*record.runs, request.run)})
    try:
        await data.records.put(request.conversation, joined, etag=found.etag)
    except PreconditionFailed:
        raise _busy() from None


async def _replacing(
    data: TenantData, record: ConversationRecord, request: TurnRequest, message: Content
) -> ConversationRecord:
    """Return the record with the run in the place of the last turn, which must have ended."""
    assert request.replaces is not None
    at = record.runs.index(request.replaces) if request.replaces in record.runs else len(record.runs)
    replaced, never_opened = record.runs[at : at + 1], record.runs[at + 1 :]
    if not replaced or any([await data.log.read(run, limit=1) for run in never_opened]):
        raise Conflict(
            "Only the last turn of a conversation can be replaced, and only once.", code="conversation.replaced"
        )
    if not fold(await read_run(data, replaced[0])).ended:
        raise _busy()
    changes: dict[str, object] = {
        "runs": (*record.runs[:at], request.run),
        "replaced": (*record.replaced, *record.runs[at:]),
    }
    if at == 0 and record.title.kind is ContentClass.PROMPT:  # the first message, which is another one now
        changes["title"] = message.ref
    return record.model_copy(update=changes)


async def _must_be_idle(data: TenantData, last: RunId) -> None:
    try:
        progress = fold(await read_run(data, last))
    except NotFound:
        return  # its first event was never written
    if progress.state is RunState.RUNNING:
        raise _busy()


def _busy() -> Conflict:
    return Conflict(
        "The agent is still answering in this conversation. Wait for it, or cancel that run.", code="conversation.busy"
    )
