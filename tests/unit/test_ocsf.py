"""Events as OCSF: each type has what its class requires, and nothing of the content."""

from typing import Any

import pytest
from pydantic import BaseModel

from core import GENESIS, Actor, ContentClass, ContentId, ContentRef, PrincipalKind, RunId, TenantId
from core.bodies import AccessRefused, ApprovalResolved, DecisionMade, RecordChanged, RunOpened, ToolFinished
from core.decisions import Effect, Lane
from core.events import Event, Stored
from core.parts import RunKind, Versions
from event_samples import TYPES, filled
from interaction.ocsf import ocsf_of

USER = Actor(kind=PrincipalKind.USER, id="usr_a")
REQUIRED = {"activity_id", "actor", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
OF_CLASS = {6003: {"api", "src_endpoint"}, 3004: {"entity"}}
"""What OCSF 1.6.0 requires of API Activity and of Entity Management, beside what it requires of all."""


def told(body: BaseModel, actor: Actor = USER) -> dict[str, Any]:
    opened = RunOpened(kind=RunKind.TURN, agent="support", versions=Versions(code="1"))
    run = [
        Stored.seal(
            Event(
                tenant=TenantId("ten_a"),
                run=RunId("run_a"),
                seq=seq,
                at="2026-01-01T00:00:00.250Z",
                actor=USER if seq == 1 else actor,
                prev=GENESIS,
                body=its,  # pyright: ignore[reportArgumentType] - one of the union
            )
        )
        for seq, its in enumerate((opened, body), 1)
    ]
    return ocsf_of(run[1], run)


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_every_type_of_event_has_what_its_class_requires(type_: type[BaseModel]) -> None:
    found = told(filled(type_))
    assert REQUIRED | OF_CLASS[found["class_uid"]] <= found.keys()
    assert found["category_uid"] == found["class_uid"] // 1000
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert found["activity_id"] in (1, 2, 3, 4, 99)
    assert found["time"] == 1767225600250
    assert {"version", "product", "uid", "tenant_uid"} <= found["metadata"].keys()
    assert found["metadata"]["uid"] == "run_a.2"
    assert found["metadata"]["tenant_uid"] == "ten_a"
    assert found["metadata"]["event_code"] == type_.model_fields["type"].default
    if found["class_uid"] == 6003:
        assert found["api"]["operation"]
        assert found["src_endpoint"] == {"svc_name": "mandate"}


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_no_event_points_to_content(type_: type[BaseModel], monkeypatch: pytest.MonkeyPatch) -> None:
    ref = ContentRef(id=ContentId("cnt_secret"), kind=ContentClass.PROMPT, commitment="committed to")
    body = filled(type_)
    points = {name: ref for name, value in dict(body).items() if isinstance(value, ContentRef)}
    found = repr(told(body.model_copy(update=points)))
    assert "cnt_secret" not in found
    assert "committed to" not in found


def test_who_for_whom_what_and_why_are_where_a_siem_looks() -> None:
    made = filled(DecisionMade)
    facts = {"effect": "write", "user_roles": ("user",)}
    refusal = made.decision.model_copy(update={"lane": Lane.NEVER, "facts": facts, "policies": ("publisher/no",)})
    found = told(made.model_copy(update={"decision": refusal}), Actor(kind=PrincipalKind.AGENT, id="agt_support"))
    assert found["actor"]["user"] == {"uid": "agt_support", "type_id": 99, "type": "Agent"}
    assert found["actor"]["app_name"] == "support"
    (authorization,) = found["actor"]["authorizations"]
    assert authorization["decision"] == "never"
    assert authorization["policy"]["uid"] == "publisher/no"
    assert (found["activity_name"], found["status_id"], found["severity_id"]) == ("Update", 2, 2)
    assert found["unmapped"]["on_behalf_of"] == "usr_a"
    assert found["unmapped"]["facts"]["user_roles"] == ["user"]


@pytest.mark.parametrize(
    ("body", "status", "severity"),
    [
        (filled(ToolFinished).model_copy(update={"outcome": "ok", "effect": Effect.READ}), 1, 1),
        (filled(ToolFinished).model_copy(update={"outcome": "failed"}), 2, 1),
        (filled(ToolFinished).model_copy(update={"outcome": "unknown"}), 2, 3),
        (filled(ApprovalResolved).model_copy(update={"verdict": "denied"}), 2, 1),
        (AccessRefused(code="access.role", operation="GET /v1/usage"), 2, 2),
        (RecordChanged(kind="hold", key="hld_1", version="released"), 1, 1),
    ],
)
def test_what_failed_was_refused_or_is_unknown_stands_out(body: BaseModel, status: int, severity: int) -> None:
    found = told(body)
    assert (found["status_id"], found["severity_id"]) == (status, severity)
