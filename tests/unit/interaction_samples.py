"""A run as it may come to the edge, and members of its tenant."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
from pydantic import Field

from core import (
    GENESIS,
    ActionKind,
    Actor,
    ApprovalId,
    Content,
    ContentClass,
    ContentRef,
    Decision,
    DocumentId,
    Effect,
    Json,
    Label,
    Lane,
    Principal,
    PrincipalId,
    PrincipalKind,
    Role,
    RunId,
    TenantContext,
    TenantId,
    canonical,
    derived_id,
    timestamp,
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
from core.errors import NotFound
from core.events import Event, Stored
from core.labels import Confidentiality, Integrity
from core.parts import Citation, Limits, PassageUse, Proposal, RunKind, RunState, Usage, Versions
from tools import Refusal, Registry, ToolCall, tool

RUN = RunId(derived_id("run", "a tale"))
TENANT = TenantId(derived_id("ten", "north"))
AGENT = Actor(kind=PrincipalKind.AGENT, id="helper")
START = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
UNTRUSTED = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.INTERNAL)
OWN = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.INTERNAL)


def member(name: str, *roles: Role, tenant: TenantId = TENANT, plan: str = "team") -> TenantContext:
    principal = Principal(PrincipalId(derived_id("prn", name)), PrincipalKind.USER, frozenset(roles))
    return TenantContext(tenant, principal, plan=plan, region="eu", correlation="c")


ANNA = member("anna", Role.USER)
BEN = member("ben", Role.APPROVER)


OrderId = Annotated[str, Field(description="The order.")]
Cents = Annotated[int, Field(description="How much.")]


@tool(effect=Effect.WRITE, reversible=False, consequence="Pays {amount_cents:money} back for order {order_id}.")
async def pay_back(call: ToolCall, order_id: OrderId, amount_cents: Cents) -> Refusal:
    """Pay money back."""
    return Refusal(code="none", detail="")


REGISTRY = Registry([pay_back])


@dataclass
class Tale:
    """Events of one run, sealed as they come, and the content that they point to."""

    requester: TenantContext = ANNA
    run: RunId = RUN
    events: list[Stored] = field(default_factory=list[Stored])
    content: dict[str, bytes] = field(default_factory=dict[str, bytes])
    at: datetime = START

    def tell(self, *bodies: Body, by: Actor = AGENT) -> "Tale":
        for body in bodies:
            event = Event(
                tenant=self.requester.tenant,
                run=self.run,
                seq=len(self.events) + 1,
                at=timestamp(self.at),
                actor=by,
                prev=self.events[-1].hash if self.events else GENESIS,
                body=body,
            )
            self.events.append(Stored.seal(event))
            self.at += timedelta(minutes=1)
        return self

    def keep(self, data: bytes, kind: ContentClass) -> ContentRef:
        content = Content.new(data, kind=kind, owner=self.requester.principal.id)
        self.content[content.ref.id] = data
        return content.ref

    async def fetch(self, ref: ContentRef) -> bytes:
        if ref.id not in self.content:
            raise NotFound("This content is not there any more.")
        return self.content[ref.id]


def asked(message: str = "Please pay order A-1 back.", requester: TenantContext = ANNA) -> Tale:
    """Somebody has asked, and the agent was shown one passage."""
    tale = Tale(requester)
    opened = RunOpened(
        kind=RunKind.TURN,
        agent="helper",
        message=tale.keep(message.encode(), ContentClass.PROMPT),
        use_knowledge=True,
        versions=Versions(code="1"),
        limits=Limits(steps=8, tool_calls=6, tokens=1000, output_tokens=100, cost_micros=1000, seconds=60),
    )
    tale.tell(opened, by=requester.principal.actor)
    document = DocumentId(derived_id("doc", "policy"))
    shown: Json = [
        {"number": 1, "passage": f"{document}.0", "document": document, "heading": "Refunds", "text": "Within 30 days."}
    ]
    found = PassagesRetrieved(
        step=0,
        passages=(
            PassageUse(
                passage=f"{document}.0", document=document, label=UNTRUSTED, score=1, rank_vector=1, rank_text=1
            ),
        ),
        content=tale.keep(orjson.dumps(shown), ContentClass.PASSAGES),
        duration_ms=1,
    )
    return tale.tell(_decided(ActionKind.RETRIEVE, "knowledge", Lane.AUTOMATIC, 0, "Members may search."), found)


def proposed(tale: Tale, lane: Lane, reason: str) -> Tale:
    """The agent has proposed to pay back, and the rules have said what they say."""
    message = orjson.dumps({"text": "", "calls": [{"id": "1", "name": "pay_back", "arguments": ARGUMENTS.decode()}]})
    finished = ModelFinished(
        step=1,
        outcome="answered",
        logical="chat",
        message=tale.keep(message, ContentClass.ANSWER),
        proposals=(Proposal(call=0, tool="pay_back"),),
        usage=Usage(input_tokens=10, output_tokens=5, model_calls=1),
    )
    stored = tale.keep(ARGUMENTS, ContentClass.ARGUMENTS)
    allowed = _decided(ActionKind.CALL_MODEL, "chat", Lane.AUTOMATIC, 1, "Members may talk to agents.")
    return tale.tell(allowed, finished, _decided(ActionKind.CALL_TOOL, "pay_back", lane, 1, reason, stored))


def parked(tale: Tale, reason: str = "Money is paid back only if a person agrees.") -> Tale:
    """The run waits for somebody's decision."""
    proposed(tale, Lane.APPROVAL, reason)
    until = timestamp(START + timedelta(days=3))
    requested = ApprovalRequested(
        approval=APPROVAL,
        step=1,
        call=0,
        tool="pay_back",
        effect=Effect.WRITE,
        arguments=tale.keep(ARGUMENTS, ContentClass.ARGUMENTS),
        policy_version="p1",
        expires_at=until,
    )
    return tale.tell(requested, RunParked(cause="approval", until=until))


def resolved(tale: Tale, by: TenantContext = BEN, *, approved: bool = True, reason: str = "It came broken.") -> Tale:
    """Somebody has decided, and what followed from that has happened."""
    told = ApprovalResolved(
        approval=APPROVAL,
        step=1,
        call=0,
        verdict="approved" if approved else "denied",
        approver=by.principal.actor,
        reason=tale.keep(reason.encode(), ContentClass.REASON),
    )
    tale.tell(told, RunResumed(cause="approval"))
    if approved:
        stored = tale.keep(ARGUMENTS, ContentClass.ARGUMENTS)
        again = _decided(ActionKind.CALL_TOOL, "pay_back", Lane.APPROVAL, 1, "As before.", stored)
        done = ToolFinished(
            step=1, call=0, tool="pay_back", effect=Effect.WRITE, outcome="ok", idempotency_key="k", label=OWN
        )
        tale.tell(again.model_copy(update={"approval": APPROVAL}), done)
    return tale


def answered(tale: Tale, text: str = "It is settled [1].") -> Tale:
    document = DocumentId(derived_id("doc", "policy"))
    message = tale.keep(orjson.dumps({"text": text, "calls": []}), ContentClass.ANSWER)
    cited = (Citation(marker=1, passage=f"{document}.0", document=document),)
    return tale.tell(AnswerGiven(message=message, citations=cited), RunEnded(state=RunState.COMPLETED))


ARGUMENTS = canonical({"order_id": "A-1", "amount_cents": 1250})
APPROVAL = ApprovalId(derived_id("apr", "a tale"))


def _decided(
    kind: ActionKind, target: str, lane: Lane, step: int, reason: str, arguments: ContentRef | None = None
) -> DecisionMade:
    return DecisionMade(
        step=step,
        kind=kind,
        target=target,
        arguments=arguments,
        argument_labels={"order_id": OWN, "amount_cents": UNTRUSTED} if arguments else {},
        decision=Decision(
            lane=lane, policies=("publisher/x",), reason=reason, policy_version="p1", facts={"effect": "write"}
        ),
    )
