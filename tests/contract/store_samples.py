"""What the contract tests of the stores put into them."""

import random
import struct
from collections.abc import Sequence
from typing import ClassVar

from core import (
    GENESIS,
    ActionKind,
    ApprovalId,
    Content,
    ContentClass,
    ContentId,
    Decision,
    DocumentId,
    Effect,
    Json,
    Label,
    Lane,
    Permit,
    Principal,
    PrincipalId,
    PrincipalKind,
    RunId,
    TenantContext,
    TenantId,
    action_digest,
    new_id,
)
from core.bodies import (
    AnswerGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.events import Event, Stored
from core.parts import Citation, PassageUse, RunKind, RunState, Usage, Versions
from data import Passage, Record, Store, Term, indexing


class Note(Record):
    kind: ClassVar[str] = "note"
    text: str = ""


class Other(Record):
    kind: ClassVar[str] = "other"
    number: int = 0


def member(tenant: TenantId | None = None, *groups: str) -> TenantContext:
    principal = Principal(PrincipalId(new_id("usr")), PrincipalKind.USER, groups=frozenset(groups))
    return TenantContext(tenant or TenantId(new_id("ten")), principal, plan="standard", region="eu", correlation="c")


def permit(context: TenantContext, kind: ActionKind, target: str, arguments: Json) -> Permit:
    """Return what the gate would give for it."""
    run = run_id()
    bound = action_digest(context.tenant, run, kind, target, arguments)
    return Permit(tenant=context.tenant, run=run, decision_seq=1, digest=bound)


async def index(store: Store, context: TenantContext, passages: Sequence[Passage]) -> None:
    for collection in dict.fromkeys(passage.collection for passage in passages):
        its = [passage for passage in passages if passage.collection == collection]
        leave = permit(context, ActionKind.INGEST, collection, indexing(its))
        await store.tenant(context).knowledge.index(leave, its)


def run_id() -> RunId:
    return RunId(new_id("run"))


def opened(kind: RunKind = RunKind.TURN) -> RunOpened:
    return RunOpened(kind=kind, agent="support", versions=Versions(code="1"), deadline="2026-01-01T00:00:00.000Z")


def step(number: int = 1) -> DecisionMade:
    decision = Decision(
        lane=Lane.AUTOMATIC, policies=("publisher/models",), reason="Allowed.", policy_version="p", facts={"steps": 1}
    )
    return DecisionMade(step=number, kind=ActionKind.CALL_MODEL, target="chat", decision=decision)


def prompt(text: bytes = b"where is my order?") -> Content:
    return Content.new(text, kind=ContentClass.PROMPT, owner=PrincipalId(new_id("usr")))


def vector(*components: float) -> bytes:
    length = sum(c * c for c in components) ** 0.5 or 1.0
    return struct.pack(f"<{len(components)}f", *(c / length for c in components))


def passage(
    text: str,
    *,
    id_: str = "",
    near: tuple[float, ...] = (1.0, 0.0, 0.0),
    collection: str = "manuals",
    owner: str = "usr_owner",
    document: str = "doc_1",
    ordinal: int = 0,
    content: str = "cnt_text",
    since: str = "2026-01-01T00:00:00.000Z",
    until: str = "",
) -> Passage:
    return Passage(
        id=id_ or new_id("psg"),
        document=DocumentId(document),
        collection=collection,
        ordinal=ordinal,
        heading="Heading",
        text=text,
        vector=vector(*near),
        term=Term(ContentId(content), PrincipalId(owner), since, until),
    )


def chain(context: TenantContext, run: RunId, bodies: Sequence[Body]) -> list[Stored]:
    """Return events as they are written, without names in them, from the first of a run on."""
    events: list[Stored] = []
    for seq, body in enumerate(bodies, start=1):
        event = Event(
            tenant=context.tenant,
            run=run,
            seq=seq,
            at="2026-01-01T00:00:00.000Z",
            actor=context.principal.actor,
            prev=events[-1].hash if events else GENESIS,
            body=body,
        )
        events.append(Stored.seal(event))
    return events


def random_bodies(rng: random.Random) -> list[Body]:
    """Return the events of a run that goes through a few steps and, at random, is parked, resumed and ended."""
    kind = rng.choice(list(RunKind))
    bodies: list[Body] = [opened(kind)]
    if rng.random() < 0.5:
        bodies += retrieved(rng)
    for number in range(1, rng.randint(1, 4)):
        usage = Usage(input_tokens=rng.randint(1, 99), cost_micros=rng.randint(1, 99), model_calls=1)
        bodies += [
            step(number),
            ModelFinished(step=number, outcome="answered", logical="chat", usage=usage, duration_ms=3),
        ]
        if rng.random() < 0.5:
            bodies += _approval(rng, number)
    if rng.random() < 0.6:
        usage = rng.choice([Usage(), Usage(output_tokens=7)])
        bodies.append(RunEnded(state=rng.choice([s for s in RunState if s.ended]), code="x", usage=usage))
    return bodies


def retrieved(rng: random.Random) -> list[Body]:
    """Return the finding of passages of a few documents, and at random an answer that cites one."""
    names = [f"doc_{rng.randint(1, 4)}.{number}" for number in range(rng.randint(1, 5))]
    document = {name: DocumentId(name.partition(".")[0]) for name in names}
    found = tuple(
        PassageUse(passage=n, document=document[n], label=Label(), score=1, rank_vector=1, rank_text=1) for n in names
    )
    bodies: list[Body] = [PassagesRetrieved(step=0, passages=found, content=prompt().ref, duration_ms=1)]
    if rng.random() < 0.5:
        cited = Citation(marker=1, passage=names[0], document=document[names[0]])
        bodies.append(AnswerGiven(message=prompt().ref, citations=(cited,)))
    return bodies


def _approval(rng: random.Random, number: int) -> list[Body]:
    approval = ApprovalId(new_id("apr"))
    bodies: list[Body] = [
        ApprovalRequested(
            approval=approval,
            step=number,
            call=0,
            tool="issue_refund",
            effect=Effect.WRITE,
            arguments=prompt().ref,
            policy_version="p",
            expires_at="2026-01-02T00:00:00.000Z",
        ),
        RunParked(cause="approval", until="2026-01-02T00:00:00.000Z"),
    ]
    if rng.random() < 0.7:
        verdict = rng.choice(["approved", "denied", "expired", "superseded"])
        bodies += [
            RunResumed(cause="approval"),
            ApprovalResolved(approval=approval, step=number, call=0, verdict=verdict),  # pyright: ignore[reportArgumentType] - one of the literals above
            ToolFinished(
                step=number, call=0, tool="issue_refund", effect=Effect.WRITE, outcome="ok", idempotency_key="k"
            ),
        ]
    return bodies
