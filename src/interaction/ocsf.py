"""Events of the log in the shape of the Open Cybersecurity Schema Framework, for a SIEM. Never any content.

Administrative acts are class 3004, Entity Management; everything else is class 6003, API Activity. What the schema has
no place for stands in `unmapped`, under our own names. See `docs/evidence.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core import ActionKind, Actor, Json, Lane, PrincipalKind, parse_timestamp
from core.bodies import (
    AccessRefused,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    DecisionMade,
    ModelFinished,
    PassagesRetrieved,
    RecordChanged,
    RunEnded,
    RunOpened,
    ToolFinished,
)
from core.decisions import Effect
from core.events import Event, Stored
from core.parts import RunState
from interaction.evidence_lines import documents_of

VERSION = "1.6.0"

CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99
SUCCESS, FAILURE = 1, 2
INFORMATIONAL, LOW, MEDIUM = 1, 2, 3

_ACTIONS = {
    ActionKind.CALL_MODEL: OTHER,
    ActionKind.RETRIEVE: READ,
    ActionKind.CALL_TOOL: OTHER,
    ActionKind.INGEST: CREATE,
    ActionKind.SHOW: READ,
}
_TARGETS = {ActionKind.CALL_TOOL: "tool", ActionKind.CALL_MODEL: "model", ActionKind.SHOW: "model"}
_EFFECTS = {Effect.READ: READ, Effect.WRITE: UPDATE, Effect.EXTERNAL: OTHER, Effect.IRREVERSIBLE: DELETE}
_ACTS = {"exported": READ, "erased": DELETE, "released": DELETE, "deleted": DELETE}
_USERS = {PrincipalKind.USER: 1, PrincipalKind.SERVICE: 3, PrincipalKind.AGENT: OTHER}
_NAMES = {CREATE: "Create", READ: "Read", UPDATE: "Update", DELETE: "Delete"}
_GOOD_ENDS = (RunState.COMPLETED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is particular to an event.

    Attributes:
        operation: what was done, or asked for.
        target: what it was done with: type and name.
        refused: a decision that says so, an outcome that failed.
    """

    operation: str
    activity: int = OTHER
    target: tuple[str, str] = ("", "")
    good: bool = True
    severity: int = INFORMATIONAL
    code: str = ""
    more: Mapping[str, Json] = field(default_factory=dict[str, Json])


def ocsf_of(stored: Stored, events: Sequence[Stored]) -> dict[str, Json]:
    """Return an event of a run, of which `events` are all up to it, as OCSF."""
    event, opened = stored.event, events[0].event
    agent = opened.body.agent if isinstance(opened.body, RunOpened) else ""
    told = _told(event)
    is_act = isinstance(event.body, RecordChanged)
    class_uid = 3004 if is_act else 6003
    documents: list[Json] = [{"type": "document", "uid": document} for document in documents_of([stored])]
    common: dict[str, Json] = {
        "class_uid": class_uid,
        "class_name": "Entity Management" if is_act else "API Activity",
        "category_uid": class_uid // 1000,
        "category_name": "Identity & Access Management" if is_act else "Application Activity",
        "activity_id": told.activity,
        "activity_name": _NAMES.get(told.activity, told.operation),
        "type_uid": class_uid * 100 + told.activity,
        "time": round(parse_timestamp(event.at).timestamp() * 1000),
        "severity_id": told.severity,
        "status_id": SUCCESS if told.good else FAILURE,
        **({"status_code": told.code} if told.code else {}),
        "metadata": {
            "version": VERSION,
            "product": {"name": "Mandate", "vendor_name": "Mandate"},
            "uid": f"{event.run}.{event.seq}",
            "event_code": event.body.type,
            "sequence": event.seq,
            "correlation_uid": event.run,
            "tenant_uid": event.tenant,
            "original_time": event.at,
        },
        "actor": _actor(event, agent),
        "unmapped": {"run": event.run, "hash": stored.hash, "on_behalf_of": opened.actor.id, **told.more},
    }
    if isinstance(event.body, RecordChanged):
        return {**common, "entity": {"type": event.body.kind, "uid": event.body.key, "version": event.body.version}}
    kind, name = told.target
    resources = [*([{"type": kind, "name": name}] if name else []), *documents]
    return {
        **common,
        "api": {"operation": told.operation, "service": {"name": "Mandate"}},
        "src_endpoint": {"svc_name": "mandate"},
        **({"resources": resources} if resources else {}),
    }


def _actor(event: Event, agent: str) -> dict[str, Json]:
    actor: dict[str, Json] = {"user": _user(event.actor), **({"app_name": agent} if agent else {})}
    body = event.body
    if not isinstance(body, DecisionMade):
        return actor
    decision = body.decision
    policies: list[Json] = [
        {
            "decision": decision.lane.value,
            "policy": {"uid": policy, "name": policy, "desc": decision.reason, "version": decision.policy_version},
        }
        for policy in decision.policies
    ]
    return {**actor, "authorizations": policies or [{"decision": decision.lane.value}]}


def _user(actor: Actor) -> dict[str, Json]:
    return {"uid": actor.id, "type_id": _USERS[actor.kind], "type": actor.kind.value.capitalize()}


def _told(event: Event) -> _Told:
    body = event.body
    match body:
        case DecisionMade():
            told = _decision(body)
        case ToolFinished() | ModelFinished():
            told = _effect(body)
        case PassagesRetrieved():
            told = _Told("retrieve", READ, more={"passages": [use.passage for use in body.passages]})
        case ApprovalRequested():
            more: dict[str, Json] = {"approval": body.approval, "effect": body.effect, "expires_at": body.expires_at}
            more["approvers"] = body.approvers
            told = _Told("request_approval", CREATE, ("tool", body.tool), more=more)
        case ApprovalGiven():
            more = {"approval": body.approval, "approver": body.approver.id, "in_place_of": body.in_place_of}
            more["through"] = body.through
            told = _Told("give_approval", UPDATE, more=more)
        case ApprovalResolved():
            approver = body.approver.id if body.approver else ""
            more = {"approval": body.approval, "verdict": body.verdict, "approver": approver}
            more |= {"in_place_of": body.in_place_of, "through": body.through}
            told = _Told("resolve_approval", UPDATE, good=body.verdict == "approved", code=body.verdict, more=more)
        case RunEnded():
            more = {"state": body.state}
            told = _Told("end_run", OTHER, good=body.state in _GOOD_ENDS, code=body.code, more=more)
        case AccessRefused():
            told = _Told(body.operation, OTHER, ("", ""), False, LOW, body.code, {"count": body.count})
        case RecordChanged():
            told = _Told("change_record", _ACTS.get(body.version, UPDATE))
        case _:
            told = _Told(body.type)
    return told


def _effect(body: ToolFinished | ModelFinished) -> _Told:
    more: dict[str, Json] = {"outcome": body.outcome, "step": body.step}
    if isinstance(body, ModelFinished):
        target = ("model", body.target or body.logical)
        good = body.outcome == "answered"
        return _Told("call_model", OTHER, target, good, code=body.error, more={**more, "model_version": body.version})
    severity = MEDIUM if body.outcome in ("timeout", "unknown") else INFORMATIONAL
    activity, good = _EFFECTS[body.effect], body.outcome == "ok"
    return _Told(
        "call_tool", activity, ("tool", body.tool), good, severity, body.error, {**more, "effect": body.effect}
    )


def _decision(body: DecisionMade) -> _Told:
    decision = body.decision
    effect = decision.facts.get("effect")
    activity = _EFFECTS[Effect(effect)] if effect in tuple(Effect) else _ACTIONS[body.kind]
    refused = decision.lane is Lane.NEVER
    more: dict[str, Json] = {
        "lane": decision.lane.value,
        "reason": decision.reason,
        "policy_version": decision.policy_version,
        "facts": {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in decision.facts.items()},
        "step": body.step,
        **({"approval": body.approval} if body.approval else {}),
    }
    target = (_TARGETS.get(body.kind, "collection"), body.target)
    return _Told(body.kind.value, activity, target, not refused, LOW if refused else INFORMATIONAL, more=more)
