"""Deciding again: exactly what would change, and nothing guessed where the record lacks a fact."""

from collections.abc import Sequence

import pytest
from test_policy import ask

from control import Candidate, Recorded, Replay, Ruleset, decide_again, publisher_text, recorded_in
from core import (
    GENESIS,
    ActionKind,
    Actor,
    Fact,
    Facts,
    Lane,
    Names,
    PrincipalKind,
    RunId,
    TenantId,
    new_id,
    renamed,
)
from core.bodies import DecisionMade, RunOpened
from core.events import Event, Stored
from core.parts import RunKind, Versions

IN_FORCE = Ruleset.compose(publisher=publisher_text())
OPENER = "prn_0123456789abcdefghjkmnpqrs"


def recorded(kind: ActionKind, by: PrincipalKind = PrincipalKind.AGENT, /, **facts: Fact) -> Recorded:
    agent: Facts = {} if by is PrincipalKind.AGENT else {"agent": ""}
    question = ask(kind, by, **{**agent, **facts})
    return stands_for(kind, question.target, IN_FORCE.decide(question).facts)


def stands_for(kind: ActionKind, target: str, facts: Facts) -> Recorded:
    question = ask(kind)
    principal = (PrincipalKind.AGENT, "support") if facts.get("agent") else (PrincipalKind.USER, OPENER)
    decision = IN_FORCE.decide(type(question)(principal, kind, target, {**question.facts, **facts}))
    body = DecisionMade(step=1, kind=kind, target=target, decision=decision.model_copy(update={"facts": dict(facts)}))
    return recorded_in(events(body))[0]


def events(body: DecisionMade) -> Sequence[Stored]:
    run, tenant = RunId(new_id("run")), TenantId(new_id("ten"))
    actor = Actor(kind=PrincipalKind.USER, id=OPENER)
    opened = RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))
    return [
        Stored.seal(
            Event(tenant=tenant, run=run, seq=seq, at="2026-11-25T12:00:00.000Z", actor=actor, prev=GENESIS, body=said)
        )
        for seq, said in enumerate((opened, body), start=1)
    ]


def candidate(tenant: str = "", publisher: str | None = None) -> Candidate:
    return Candidate(Ruleset.compose(publisher=publisher or publisher_text(), tenant=tenant))


def forbid(condition: str, scope: str = "principal, action, resource") -> str:
    return f'@id("mine") @lane("never") @reason("No.") forbid ({scope}) when {{ {condition} }};'


SAMPLES = [
    recorded(ActionKind.CALL_MODEL),
    recorded(ActionKind.CALL_MODEL, step=9),
    recorded(ActionKind.RETRIEVE),
    recorded(ActionKind.CALL_TOOL),
    recorded(ActionKind.CALL_TOOL, amount_cents=2500),
    recorded(ActionKind.CALL_TOOL, effect="external", untrusted_arguments=("to",)),
    recorded(ActionKind.INGEST, PrincipalKind.USER),
    recorded(ActionKind.INGEST, PrincipalKind.USER, collection_integrity="trusted"),
]


def test_under_the_same_policies_nothing_changes() -> None:
    replay = Replay()
    replay.add(candidate(), SAMPLES)
    result = replay.result()
    assert (result.decisions, result.same, result.groups) == (len(SAMPLES), len(SAMPLES), ())


def test_each_change_is_counted_and_those_alike_are_told_together() -> None:
    replay = Replay()
    external = publisher_text().replace(
        '@lane("approval")\n@reason("What leaves', '@lane("automatic")\n@reason("What leaves'
    )
    tighter = forbid("context has amount_cents", 'principal, action == Mandate::Action::"call_tool", resource')
    replay.add(candidate(tighter, external), [*SAMPLES, *SAMPLES])
    result = replay.result()
    assert {group.tenant for group in result.groups} <= {one.event.tenant for one in SAMPLES}
    assert (result.tightened, result.loosened, result.undecided, result.reason) == (2, 2, 0, 0)
    assert {(g.change, g.target, g.before, g.after, g.policies, g.count) for g in result.groups} == {
        ("tightened", "issue_refund", Lane.APPROVAL, Lane.NEVER, ("tenant/mine",), 2),
        ("loosened", "issue_refund", Lane.APPROVAL, Lane.AUTOMATIC, ("publisher/external-needs-approval",), 2),
    }


def test_another_policy_for_the_same_lane_is_another_reason() -> None:
    found = decide_again(candidate(forbid('context.plan == "team"')), recorded(ActionKind.CALL_MODEL, step=9))
    assert (found.change, found.after and found.after.policies) == ("reason", ("publisher/step-limit", "tenant/mine"))


def older(kind: ActionKind, *lacks: str, **facts: Fact) -> Recorded:
    whole = ask(kind, **facts).facts
    return stands_for(kind, "issue_refund", {name: fact for name, fact in whole.items() if name not in lacks})


def test_a_fact_that_the_record_lacks_and_the_policies_need_is_named_and_not_guessed() -> None:
    found = decide_again(candidate(forbid("context.hour > 20")), older(ActionKind.CALL_MODEL, "hour"))
    assert (found.change, found.after, found.missing, found.erased) == ("undecided", None, ("hour",), ())


@pytest.mark.parametrize("lacks", ["hour", "weekday", "on_behalf_of"])
def test_a_fact_that_no_policy_speaks_of_may_be_missing(lacks: str) -> None:
    assert decide_again(candidate(), older(ActionKind.CALL_TOOL, lacks)).change == "same"


def test_whatever_a_missing_fact_was_a_forbid_that_applies_is_certain() -> None:
    rules = candidate(forbid('context.plan == "team"'))
    found = decide_again(rules, older(ActionKind.CALL_MODEL, "seconds_in_run", "switched_off"))
    assert (found.change, found.after and found.after.lane) == ("tightened", Lane.NEVER)


def test_money_recorded_before_it_was_counted_by_the_day_cannot_be_decided_again() -> None:
    one = older(ActionKind.CALL_TOOL, "moved_by_user_cents", amount_cents=5)
    found = decide_again(candidate(), one)
    assert (found.tenant, found.run, found.seq) == (one.event.tenant, one.event.run, one.event.seq)
    assert (found.change, found.missing) == ("undecided", ("moved_by_user_cents",))


def test_a_policy_about_another_action_makes_nothing_uncertain() -> None:
    rules = forbid("context.hour > 20", 'principal, action == Mandate::Action::"ingest", resource')
    assert decide_again(candidate(rules), older(ActionKind.CALL_MODEL, "hour")).change == "same"


def test_a_policy_that_looks_at_all_facts_at_once_needs_them_all() -> None:
    found = decide_again(
        candidate(forbid("context == context && context.hour > 1")), older(ActionKind.RETRIEVE, "weekday")
    )
    assert found.change == "undecided"
    assert "weekday" in found.missing


def erased(one: Recorded) -> Recorded:
    """Return the decision as it is read when the key of the tenant's names is gone."""
    event = renamed(one.event, Names(bytes(32)).seal)
    assert isinstance(event.body, DecisionMade)
    return Recorded(event, event.body, one.opener)


def test_a_fact_that_was_erased_is_named_and_not_guessed() -> None:
    rules = candidate(forbid('context.user_groups.contains("support")'))
    found = decide_again(rules, erased(recorded(ActionKind.CALL_MODEL)))
    assert (found.change, found.erased, found.missing) == ("undecided", ("user_groups",), ())
    assert decide_again(candidate(), erased(recorded(ActionKind.CALL_MODEL))).change == "same"


def test_a_collection_whose_name_was_erased_is_not_taken_for_another() -> None:
    one = erased(recorded(ActionKind.INGEST, PrincipalKind.USER))
    named = candidate(forbid("true", 'principal, action, resource == Mandate::Collection::"payroll"'))
    found = decide_again(named, one)
    assert (found.change, found.erased) == ("undecided", ("resource",))
    assert decide_again(candidate(), one).change == "same"


def test_facts_that_the_schema_no_longer_has_are_left_out() -> None:
    facts: Facts = {**ask(ActionKind.CALL_TOOL).facts, "mood": "good"}
    body = recorded(ActionKind.CALL_TOOL).body
    decision = body.decision.model_copy(update={"facts": dict(facts)})
    again = recorded_in(events(body.model_copy(update={"decision": decision})))[0]
    assert decide_again(candidate(), again).change == "same"
