"""The rules: what each lane is given for, what is refused on save, and that nothing unclear is ever allowed."""

import json
import re
from pathlib import Path
from typing import cast

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control import Layer, Question, Ruleset, check_layer, ordinary_facts, parse_layer, publisher_text
from control.policy_facts import fits, schema
from core import ActionKind, Decision, Fact, Facts, Lane, PrincipalKind
from core.errors import Unprocessable

ROOT = Path(__file__).parents[2]
PUBLISHER = Ruleset.compose(publisher=publisher_text())
COMMON: Facts = {
    "environment": "local",
    "budget_left_micros": 1000,
    "user_groups": ("support",),
    "agent_tools": ("issue_refund",),
    "context_integrity": "untrusted",
    "seconds_in_run": 0,
    "seconds_limit": 60,
    "calls_in_hour": 0,
}
OWN: dict[ActionKind, Facts] = {
    ActionKind.CALL_MODEL: {
        "step_limit": 3,
        "tokens_in_run": 0,
        "token_limit": 1000,
        "cost_in_run_micros": 0,
        "cost_limit_micros": 500,
    },
    ActionKind.RETRIEVE: {
        "collections": ("manuals",),
        "agent_collections": ("manuals", "policies"),
        "confidentiality_ceiling": 1,
    },
    ActionKind.CALL_TOOL: {"tool": "issue_refund", "effect": "write"},
    ActionKind.INGEST: {"collection": "manuals"},
    ActionKind.SHOW: {},
}


MOVED: Facts = {"moved_by_user_cents": 0, "moved_by_tenant_cents": 0}


def ask(kind: ActionKind, by: PrincipalKind = PrincipalKind.AGENT, /, **facts: Fact) -> Question:
    moved: Facts = MOVED if "amount_cents" in facts else {}
    known: Facts = {**ordinary_facts(kind, {**COMMON, **OWN[kind]}), **moved, **facts}
    return Question(principal=(by, "support"), kind=kind, target="issue_refund", facts=known)


def tool(**facts: Fact) -> Decision:
    return PUBLISHER.decide(ask(ActionKind.CALL_TOOL, **facts))


@pytest.mark.parametrize(
    ("facts", "lane", "policy"),
    [
        ({"effect": "read"}, Lane.AUTOMATIC, "tools-that-read"),
        ({}, Lane.AUTOMATIC, "clean-writes"),
        ({"untrusted_arguments": ("subject",)}, Lane.APPROVAL, "other-writes-need-approval"),
        ({"untrusted_prose": ("subject",)}, Lane.AUTOMATIC, "writes-for-people-to-read"),
        ({"untrusted_prose": ("a",), "untrusted_arguments": ("b",)}, Lane.APPROVAL, "other-writes-need-approval"),
        ({"choice_integrity": "untrusted"}, Lane.APPROVAL, "other-writes-need-approval"),
        (
            {"untrusted_prose": ("a",), "choice_integrity": "untrusted"},
            Lane.APPROVAL,
            "other-writes-need-approval",
        ),
        ({"untrusted_prose": ("a",), "arguments_rank": 3}, Lane.NEVER, "above-the-tools-ceiling"),
        ({"effect": "read", "egress": True}, Lane.AUTOMATIC, "reads-that-reach-out"),
        (
            {"effect": "read", "egress": True, "untrusted_arguments": ("url",)},
            Lane.APPROVAL,
            "other-reads-that-reach-out-need-approval",
        ),
        ({"effect": "read", "egress": True, "tool_ceiling": 0}, Lane.NEVER, "above-the-tools-ceiling"),
        ({"effect": "read", "egress": True, "confidentiality_rank": 3}, Lane.NEVER, "restricted-stays-inside"),
        ({"reversible": False}, Lane.APPROVAL, "other-writes-need-approval"),
        ({"amount_cents": 2500}, Lane.APPROVAL, "money-needs-approval"),
        ({"amount_cents": 100_000}, Lane.APPROVAL, "money-needs-approval"),
        ({"amount_cents": 100_001}, Lane.NEVER, "money-ceiling"),
        ({"amount_cents": -1}, Lane.NEVER, "money-ceiling"),
        ({"effect": "external"}, Lane.APPROVAL, "external-needs-approval"),
        ({"effect": "external", "confidentiality_rank": 3}, Lane.NEVER, "restricted-stays-inside"),
        ({"arguments_rank": 2}, Lane.AUTOMATIC, "clean-writes"),
        ({"arguments_rank": 3}, Lane.NEVER, "above-the-tools-ceiling"),
        ({"effect": "read", "tool_ceiling": 0}, Lane.NEVER, "above-the-tools-ceiling"),
        ({"effect": "irreversible"}, Lane.NEVER, "irreversible"),
        ({"injection_in": ("passages",)}, Lane.APPROVAL, "suspicious-text-was-read"),
        ({"injection_in": ("message",), "effect": "read", "egress": True}, Lane.APPROVAL, "suspicious-text-was-read"),
        ({"injection_in": ("results",), "effect": "read"}, Lane.AUTOMATIC, "tools-that-read"),
        ({"guards_silent": ("local",)}, Lane.APPROVAL, "guard-did-not-answer"),
        ({"guards_silent": ("local",), "effect": "read", "egress": True}, Lane.APPROVAL, "guard-did-not-answer"),
        ({"guards_silent": ("local",), "effect": "read"}, Lane.AUTOMATIC, "tools-that-read"),
        ({"secrets": ("token",)}, Lane.APPROVAL, "secrets-in-writes"),
        ({"secrets": ("token",), "effect": "external"}, Lane.NEVER, "secrets-stay-inside"),
        ({"personal_data": ("card",), "effect": "external"}, Lane.NEVER, "secrets-stay-inside"),
        ({"secrets": ("token",), "effect": "read", "egress": True}, Lane.NEVER, "secrets-stay-inside"),
        ({"personal_data": ("card", "email")}, Lane.AUTOMATIC, "clean-writes"),
        ({"personal_data": ("email",), "effect": "external"}, Lane.APPROVAL, "external-needs-approval"),
        ({"secrets_read": ("token",), "personal_data_read": ("card",)}, Lane.AUTOMATIC, "clean-writes"),
        ({"agent_tools": ("other",)}, Lane.NEVER, "tool-not-given"),
        ({"same_tenant": False}, Lane.NEVER, "tenant-wall"),
        ({"entitled": False}, Lane.NEVER, "not-entitled-to-a-tool"),
    ],
)
def test_a_tool_call_gets_the_lane_that_its_policy_states(facts: dict[str, Fact], lane: Lane, policy: str) -> None:
    decision = tool(**facts)
    assert (decision.lane, decision.policies[0]) == (lane, f"publisher/{policy}")
    assert decision.reason == PUBLISHER.rules[f"publisher/{policy}"].reason


@pytest.mark.parametrize("found", [{"injection_in": ("message",)}, {"guards_silent": ("local",)}])
def test_what_guards_find_makes_nothing_possible_that_was_refused_before(found: dict[str, Fact]) -> None:
    for effect in ("irreversible", "else"):
        assert tool(effect=effect).lane is tool(effect=effect, **found).lane is Lane.NEVER


@pytest.mark.parametrize(
    ("facts", "lane"),
    [
        ({}, Lane.AUTOMATIC),
        ({"personal_data": ("email", "phone", "iban")}, Lane.AUTOMATIC),
        ({"personal_data": ("card",)}, Lane.NEVER),
        ({"secrets": ("private_key",)}, Lane.NEVER),
        ({"same_tenant": False}, Lane.NEVER),
    ],
)
def test_what_the_model_writes_is_shown_but_for_secrets(facts: dict[str, Fact], lane: Lane) -> None:
    assert PUBLISHER.decide(ask(ActionKind.SHOW, **facts)).lane is lane


def test_an_environment_can_demand_a_guard() -> None:
    demands = """
        @id("shields") @lane("approval") @reason("Prompt Shields must have looked.")
        permit (principal, action == Mandate::Action::"call_tool", resource)
        when { context.effect == "write" && !context.guards.contains("prompt_shields") };
    """
    rules = Ruleset.compose(publisher=publisher_text(), environment=demands)
    assert rules.decide(ask(ActionKind.CALL_TOOL)).lane is Lane.APPROVAL
    looked = ask(ActionKind.CALL_TOOL, guards=("local", "prompt_shields"))
    assert rules.decide(looked).lane is Lane.AUTOMATIC


def test_a_choice_of_unknown_integrity_permits_no_write() -> None:
    assert tool(choice_integrity="else").lane is Lane.NEVER


def test_models_and_searches_stop_when_the_budget_is_spent_but_an_approved_tool_goes_on() -> None:
    assert PUBLISHER.decide(ask(ActionKind.CALL_MODEL)).lane is Lane.AUTOMATIC
    for kind in (ActionKind.CALL_MODEL, ActionKind.RETRIEVE):
        assert PUBLISHER.decide(ask(kind, budget_left_micros=0)).policies == ("publisher/no-budget",)
    assert tool(budget_left_micros=0).lane is Lane.AUTOMATIC


def test_an_agent_searches_for_a_member_and_only_the_collections_it_was_given() -> None:
    assert PUBLISHER.decide(ask(ActionKind.RETRIEVE)).lane is Lane.AUTOMATIC
    assert PUBLISHER.decide(ask(ActionKind.RETRIEVE, user_roles=())).lane is Lane.NEVER
    refused = PUBLISHER.decide(ask(ActionKind.RETRIEVE, collections=("manuals", "payroll")))
    assert refused.policies == ("publisher/collection-not-given",)


@pytest.mark.parametrize(
    ("by", "facts", "lane"),
    [
        (PrincipalKind.USER, {}, Lane.AUTOMATIC),
        (PrincipalKind.USER, {"collection_integrity": "trusted"}, Lane.NEVER),
        (PrincipalKind.USER, {"collection_integrity": "trusted", "by_admin": True}, Lane.AUTOMATIC),
        (PrincipalKind.USER, {"user_roles": ("auditor",)}, Lane.NEVER),
        (PrincipalKind.AGENT, {"by_admin": True}, Lane.NEVER),
    ],
)
def test_documents_are_added_by_people(by: PrincipalKind, facts: dict[str, Fact], lane: Lane) -> None:
    assert PUBLISHER.decide(ask(ActionKind.INGEST, by, **facts)).lane is lane


# What is not clear is refused.


@pytest.mark.parametrize("missing", sorted(ordinary_facts(ActionKind.CALL_TOOL, {})))
def test_a_missing_fact_refuses(missing: str) -> None:
    asked = ask(ActionKind.CALL_TOOL, effect="read")
    facts = {name: fact for name, fact in asked.facts.items() if name != missing}
    decision = PUBLISHER.decide(Question(asked.principal, asked.kind, asked.target, facts))
    assert decision.lane is Lane.NEVER
    assert "could not be evaluated" in decision.reason


@pytest.mark.parametrize(
    "facts",
    [
        {"efect": "read"},
        {"effect": 1},
        {"effect": ("read",)},
        {"calls_in_run": "1"},
        {"calls_in_run": 2**63},
        {"user_roles": "owner"},
        {"amount_cents": True},
    ],
)
def test_a_fact_that_the_schema_does_not_know_refuses(facts: dict[str, Fact]) -> None:
    assert tool(**{"effect": "read", **facts}).lane is Lane.NEVER


NO_ENTITIES = cedarpy.Entities.from_json_str("[]", schema())
ANY_FACT = st.sampled_from(
    ["", "read", 0, -1, 2**63 - 1, 2**63, -(2**63) - 1, True, False, (), ("read",), 0.5, None, (1,)]
)


@settings(max_examples=300)
@given(st.sampled_from(ActionKind), st.data())
def test_facts_that_cedar_would_refuse_by_the_schema_and_no_others_are_refused_before(
    kind: ActionKind, data: st.DataObject
) -> None:
    asked = ask(kind)
    changed = data.draw(st.dictionaries(st.sampled_from([*asked.facts, "amount_cents", "efect"]), ANY_FACT, max_size=2))
    gone = data.draw(st.sets(st.sampled_from(sorted(asked.facts)), max_size=1))
    facts = {name: value for name, value in {**asked.facts, **changed}.items() if name not in gone}
    whole = {**asked.request(()), "context": json.dumps(facts)}
    judged = cedarpy.is_authorized(whole, cedarpy.PolicySet.from_str(""), NO_ENTITIES, schema())
    assert fits(kind, cast("Facts", facts)) is (judged.decision is not cedarpy.Decision.NoDecision)


@pytest.mark.parametrize("effect", ["", "READ", "wrote", "external ", "nothing"])
def test_an_unknown_effect_refuses(effect: str) -> None:
    decision = tool(effect=effect)
    assert (decision.lane, decision.policies) == (Lane.NEVER, ("publisher/effect-not-given",))


@pytest.mark.parametrize("kind", list(ActionKind))
def test_no_policies_at_all_refuse_everything(kind: ActionKind) -> None:
    assert Ruleset.compose(publisher="// nothing").decide(ask(kind)).lane is Lane.NEVER


OVERFLOW = """
@id("overflows") @lane("never") @reason("Adds up to more than there is.")
forbid (principal, action == Mandate::Action::"call_tool", resource)
when { context.calls_in_run + 9223372036854775807 < 0 };
"""


def test_a_forbid_that_cannot_be_evaluated_refuses_and_is_named() -> None:
    rules = Ruleset.compose(publisher=publisher_text(), tenant=OVERFLOW)
    assert rules.decide(ask(ActionKind.CALL_TOOL, effect="read")).lane is Lane.AUTOMATIC
    decision = rules.decide(ask(ActionKind.CALL_TOOL, effect="read", calls_in_run=1))
    assert (decision.lane, decision.policies) == (Lane.NEVER, ("tenant/overflows",))
    assert "could not be evaluated" in decision.reason


def test_a_lower_layer_cannot_turn_a_default_deny_into_an_approval() -> None:
    rules = Ruleset.compose(
        publisher="", tenant='@id("a") @lane("approval") @reason("Ask.") permit (principal, action, resource);'
    )
    assert rules.decide(ask(ActionKind.CALL_TOOL)).lane is Lane.NEVER


# Only tightening.

CONDITIONS = (
    'context.plan == "team"',
    "context.entitled",
    "context.budget_left_micros < 500",
    'context.user_groups.contains("support")',
    "context.confidentiality_rank > 0",
    'context.environment == "local" || context.on_behalf_of_user',
    "context.budget_left_micros + 9223372036854775500 > 0",  # more than there is, for a large budget
)
Lower = tuple[str, list[str]]
FORBIDS, PERMITS = '@lane("never")', '@lane("approval")'
lower: st.SearchStrategy[Lower] = st.tuples(
    st.sampled_from([FORBIDS, PERMITS, f'{PERMITS} @approvers("2")', f'{PERMITS} @approvers("3")']),
    st.lists(st.sampled_from(CONDITIONS), max_size=3),
)


def write(layer: list[Lower]) -> str:
    return "\n".join(
        f'@id("p{number}") {notes} @reason("Because.") '
        f"{'forbid' if notes == FORBIDS else 'permit'} (principal, action, resource) "
        + " ".join(f"when {{ {condition} }}" for condition in conditions)
        + ";"
        for number, (notes, conditions) in enumerate(layer)
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    kind = draw(st.sampled_from(ActionKind))
    facts: dict[str, Fact] = {
        "plan": draw(st.sampled_from(["team", "free"])),
        "entitled": draw(st.sampled_from([True, True, False])),
        "same_tenant": draw(st.sampled_from([True, True, False])),
        "budget_left_micros": draw(st.integers(-5, 1000)),
        "user_groups": draw(st.sampled_from([(), ("support",)])),
        "confidentiality_rank": draw(st.integers(0, 3)),
    }
    if kind is ActionKind.CALL_TOOL:
        facts["effect"] = draw(st.sampled_from(["read", "write", "external", "irreversible", "else"]))
        facts["untrusted_arguments"] = draw(st.sampled_from([(), ("to",)]))
        facts["untrusted_prose"] = draw(st.sampled_from([(), ("body",)]))
        facts["egress"] = draw(st.booleans())
        facts["choice_integrity"] = draw(st.sampled_from(["trusted", "untrusted", "else"]))
        facts |= draw(st.sampled_from([{}, {"amount_cents": 5}, {"amount_cents": 200_000}]))
    return ask(kind, draw(st.sampled_from(PrincipalKind)), **facts)


@settings(max_examples=150)
@given(st.lists(lower, max_size=3), st.lists(lower, max_size=2), lower, st.booleans(), questions())
def test_a_policy_added_to_a_lower_layer_never_weakens_a_lane(
    environment: list[Lower],
    tenant: list[Lower],
    added: Lower,
    to_tenant: bool,
    question: Question,
) -> None:
    layers = (environment, [*tenant, added]) if to_tenant else ([*environment, added], tenant)
    before = Ruleset.compose(publisher=publisher_text(), environment=write(environment), tenant=write(tenant))
    after = Ruleset.compose(publisher=publisher_text(), environment=write(layers[0]), tenant=write(layers[1]))
    then, now = after.decide(question), before.decide(question)
    assert (then.lane.strictness, then.approvers) >= (now.lane.strictness, now.approvers)


# How many people have to approve.

TWO = '@id("two") @lane("approval") @approvers("2") @reason("Two.") permit (principal, action, resource);'
THREE = '@id("three") @lane("approval") @approvers("3") @reason("Three.") permit (principal, action, resource);'


HEADS = {
    "action": set(ActionKind),
    'action == Mandate::Action::"show"': {ActionKind.SHOW},
    'action in Mandate::Action::"show"': {ActionKind.SHOW},
    'action in [Mandate::Action::"show", Mandate::Action::"ingest"]': {ActionKind.SHOW, ActionKind.INGEST},
}


@pytest.mark.parametrize("head", HEADS)
def test_a_policy_holds_for_the_actions_that_its_head_names(head: str) -> None:
    text = f'@id("stop") @lane("never") @reason("Stop.") forbid (principal, {head}, resource);'
    rules = Ruleset.compose(publisher=publisher_text(), tenant=text)
    asked = {kind: rules.decide(ask(kind)).policies for kind in ActionKind}
    assert {kind for kind, policies in asked.items() if "tenant/stop" in policies} == HEADS[head]


def test_one_person_approves_unless_a_policy_asks_for_more() -> None:
    assert tool(effect="external").approvers == 1
    assert tool(effect="read").approvers == 0
    assert tool(effect="irreversible").approvers == 0


def test_of_several_policies_the_one_that_asks_for_most_people_counts_and_says_why() -> None:
    rules = Ruleset.compose(publisher=publisher_text(), environment=THREE, tenant=TWO)
    decision = rules.decide(ask(ActionKind.CALL_TOOL, effect="external"))
    assert (decision.approvers, decision.reason) == (3, "Three.")
    assert decision.policies[:2] == ("environment/three", "tenant/two")


def test_what_is_refused_asks_nobody() -> None:
    rules = Ruleset.compose(publisher=publisher_text(), tenant=THREE)
    decision = rules.decide(ask(ActionKind.CALL_TOOL, effect="irreversible"))
    assert (decision.lane, decision.approvers) == (Lane.NEVER, 0)


def test_in_production_larger_sums_need_two_people() -> None:
    prod = (ROOT / "environments" / "prod" / "policies.cedar").read_text(encoding="utf-8")
    rules = Ruleset.compose(publisher=publisher_text(), environment=prod)
    amounts = (50_000, 50_001)
    asked = [rules.decide(ask(ActionKind.CALL_TOOL, reversible=False, amount_cents=cents)) for cents in amounts]
    assert [(one.lane, one.approvers) for one in asked] == [(Lane.APPROVAL, 1), (Lane.APPROVAL, 2)]


# What is refused when it is saved.

NOTES = '@id("a") @lane("{lane}") @reason("Because.") '
FORBID = '@id("a") @lane("never") @reason("Because.") forbid (principal, action, resource)'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("permit (", "syntax"),
        (FORBID.replace("resource)", "resource == ?resource)") + ";", "syntax"),
        (FORBID + " when { " + "(" * 3000 + "true" + ")" * 3000 + " };", "syntax"),
        (FORBID + " when { " + '(")" == ")" && ' * 900 + "true" + ")" * 900 + " };", "syntax"),
        (FORBID + " when { " + "[" * 2000 + "]" * 2000 + ".isEmpty() };", "syntax"),
        (FORBID + " when { true" + " && true" * 2000 + " };", "syntax"),
        (FORBID + " when { true //" + ")" * 100 + "\n };}", "syntax"),
        ("// " + "x" * 40_000, "syntax"),
        ("\n".join(FORBID.replace('"a"', f'"a{n}"') + ";" for n in range(101)), "syntax"),
        (FORBID + " when { context.efect == 1 };", "schema"),
        (FORBID + " when { context has efect && context.efect };", "schema"),
        (FORBID + " when { principal has name };", "schema"),
        (FORBID + " when { context.plan > 3 };", "schema"),
        (FORBID.replace("action,", 'action == Mandate::Action::"call_tol",') + ";", "schema"),
        (FORBID.replace("principal,", "principal is Mandate::Usr,") + ";", "schema"),
        (FORBID + ' when { context.user_roles.contains("admni") };', "schema"),
        (FORBID + ' when { context.context_integrity == "untrustd" };', "schema"),
        (FORBID.replace('@id("a")', "") + ";", "annotation"),
        (FORBID.replace('@id("a")', '@id("publisher/a")') + ";", "annotation"),
        (FORBID.replace('@lane("never")', "") + ";", "annotation"),
        (FORBID.replace('@lane("never")', '@lane("nevr")') + ";", "annotation"),
        (FORBID.replace('@lane("never")', '@lane("approval")') + ";", "annotation"),
        (FORBID.replace('@reason("Because.")', "") + ";", "annotation"),
        (NOTES.format(lane="never") + "permit (principal, action, resource);", "annotation"),
        (NOTES.format(lane="automatic") + "permit (principal, action, resource);", "loosens"),
        (NOTES.format(lane="approval") + '@approvers("0") permit (principal, action, resource);', "annotation"),
        (NOTES.format(lane="approval") + '@approvers("6") permit (principal, action, resource);', "annotation"),
        (NOTES.format(lane="approval") + '@approvers("two") permit (principal, action, resource);', "annotation"),
        (NOTES.format(lane="approval") + "@approvers permit (principal, action, resource);", "annotation"),
        ('@approvers("2") ' + FORBID + ";", "annotation"),
        (FORBID + ";" + FORBID + ";", "duplicate"),
    ],
)
@pytest.mark.parametrize("layer", [Layer.ENVIRONMENT, Layer.TENANT])
def test_a_layer_that_is_wrong_is_refused_with_what_to_change(layer: Layer, text: str, code: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_layer(layer, text)
    assert refused.value.code == f"policy.{code}"
    if code != "syntax":
        assert re.search(r"Policy `.+`: .+\.", refused.value.message)


def test_a_message_names_the_policy() -> None:
    with pytest.raises(Unprocessable, match=r"Policy `tenant/a`: .*`efect`"):
        parse_layer(Layer.TENANT, FORBID.replace('"a"', '"z"') + ";" + FORBID + " when { context.efect == 1 };")


@pytest.mark.parametrize("environment", ["local", "dev", "staging", "prod"])
def test_the_environments_only_tighten(environment: str) -> None:
    text = (ROOT / "environments" / environment / "policies.cedar").read_text(encoding="utf-8")
    rules = Ruleset.compose(publisher=publisher_text(), environment=text)
    assert all(rule.startswith(("publisher/", "environment/")) for rule in rules.rules)


def test_prod_looks_twice_at_a_run_that_calls_many_tools() -> None:
    text = (ROOT / "environments" / "prod" / "policies.cedar").read_text(encoding="utf-8")
    rules = Ruleset.compose(publisher=publisher_text(), environment=text)
    decision = rules.decide(ask(ActionKind.CALL_TOOL, calls_in_run=10))
    assert (decision.lane, decision.policies) == (
        Lane.APPROVAL,
        ("environment/many-calls-need-approval", "publisher/clean-writes"),
    )


def test_the_version_follows_the_policies_not_their_layout() -> None:
    same = "// a comment\n" + publisher_text().replace("\n\n", "\n\n\n")
    assert Ruleset.compose(publisher=same).version == PUBLISHER.version
    other = publisher_text().replace("100000", "100001")
    assert Ruleset.compose(publisher=other).version != PUBLISHER.version
    assert Ruleset.compose(publisher=publisher_text(), tenant=FORBID + ";").version != PUBLISHER.version


# Switches, limits, money and time.


@pytest.mark.parametrize(
    ("kind", "facts", "policy", "ends"),
    [
        (ActionKind.CALL_MODEL, {"switched_off": ("tenant",)}, "organisation-off", "refused.switched_off"),
        (ActionKind.INGEST, {"switched_off": ("tenant",)}, "organisation-off", "refused.switched_off"),
        (ActionKind.CALL_TOOL, {"switched_off": ("agent",)}, "agent-off", "refused.switched_off"),
        (ActionKind.CALL_TOOL, {"switched_off": ("tool",)}, "tool-off", ""),
        (ActionKind.CALL_TOOL, {"switched_off": ("capability",)}, "tool-off", ""),
        (ActionKind.RETRIEVE, {"switched_off": ("capability",)}, "capability-off", "refused.switched_off"),
        (ActionKind.CALL_MODEL, {"switched_off": ("something new",)}, "switched-off", "refused.switched_off"),
        (ActionKind.CALL_TOOL, {"change_freeze": True}, "change-freeze", ""),
        (ActionKind.CALL_MODEL, {"step": 4}, "step-limit", "limit.steps"),
        (ActionKind.CALL_MODEL, {"tokens_in_run": 1000}, "token-limit", "limit.tokens"),
        (ActionKind.CALL_MODEL, {"cost_in_run_micros": 500}, "cost-limit", "limit.cost"),
        (ActionKind.CALL_TOOL, {"calls_in_run": 20}, "call-limit", "limit.tool_calls"),
        (ActionKind.CALL_TOOL, {"calls_in_hour": 10_000}, "calls-in-an-hour", "limit.calls_in_hour"),
        *((kind, {"seconds_in_run": 60}, "time-limit", "limit.seconds") for kind in ActionKind),
        *((kind, {"seconds_in_run": -61}, "time-limit", "limit.seconds") for kind in ActionKind),
        (ActionKind.CALL_TOOL, {"amount_cents": 1, "moved_by_user_cents": 500_000}, "money-per-day", ""),
        (ActionKind.CALL_TOOL, {"amount_cents": 1, "moved_by_tenant_cents": 5_000_000}, "money-per-day", ""),
    ],
)
def test_what_stops_an_action_is_a_policy_that_says_how_the_run_ends(
    kind: ActionKind, facts: dict[str, Fact], policy: str, ends: str
) -> None:
    by = PrincipalKind.USER if kind is ActionKind.INGEST else PrincipalKind.AGENT
    assert PUBLISHER.decide(ask(kind, by)).lane is Lane.AUTOMATIC
    decision = PUBLISHER.decide(ask(kind, by, **facts))
    assert (decision.lane, decision.policies[0]) == (Lane.NEVER, f"publisher/{policy}")
    assert PUBLISHER.ends(decision) == ends


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (ActionKind.CALL_MODEL, {"step": 3, "tokens_in_run": 999, "cost_in_run_micros": 499, "seconds_in_run": 59}),
        (ActionKind.CALL_TOOL, {"calls_in_run": 19, "calls_in_hour": 9999, "seconds_in_run": -60}),
        (ActionKind.CALL_TOOL, {"effect": "read", "change_freeze": True}),
    ],
)
def test_what_is_within_its_limits_goes_ahead(kind: ActionKind, facts: dict[str, Fact]) -> None:
    assert PUBLISHER.decide(ask(kind, **facts)).lane is Lane.AUTOMATIC


def test_money_up_to_the_days_limit_is_for_a_colleague_to_approve() -> None:
    assert tool(amount_cents=100_000, moved_by_user_cents=400_000).lane is Lane.APPROVAL
    assert tool(amount_cents=100_000, moved_by_user_cents=400_001).policies == ("publisher/money-per-day",)


@pytest.mark.parametrize("missing", ["moved_by_user_cents", "moved_by_tenant_cents"])
def test_money_that_was_not_counted_is_not_moved(missing: str) -> None:
    asked = ask(ActionKind.CALL_TOOL, amount_cents=1)
    facts = {name: fact for name, fact in asked.facts.items() if name != missing}
    decision = PUBLISHER.decide(Question(asked.principal, asked.kind, asked.target, facts))
    assert decision.policies == ("publisher/money-per-day",)


def test_money_beyond_what_can_be_added_up_is_not_moved() -> None:
    assert tool(amount_cents=1, moved_by_user_cents=2**63 - 1).lane is Lane.NEVER


@pytest.mark.parametrize("kind", list(ActionKind))
def test_a_missing_fact_refuses_whatever_the_action(kind: ActionKind) -> None:
    asked = ask(kind, PrincipalKind.USER if kind is ActionKind.INGEST else PrincipalKind.AGENT)
    assert PUBLISHER.decide(asked).lane is Lane.AUTOMATIC
    for missing in asked.facts:
        facts = {name: fact for name, fact in asked.facts.items() if name != missing}
        assert PUBLISHER.decide(Question(asked.principal, asked.kind, asked.target, facts)).lane is Lane.NEVER, missing


def test_a_tool_that_the_agent_was_not_given_is_refused_whatever_it_is_called() -> None:
    assert tool(tool="made_up").policies == ("publisher/tool-not-given",)


# Where a problem stands.


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("permit (", [(1, 9)]),
        ("// one\n\nforbid (principal, action, resource)\nwhen { context.plan > };", [(4, 23)]),
        (FORBID + '\nwhen { context.plan == "x" }\nwhen { context.efect == 1 };', [(3, 16)]),
        (FORBID + ";\n" + FORBID.replace('"a"', '"b"').replace("never", "nevr") + ";", [(2, 1)]),
        (FORBID + ' when { context has efect };\n\n// "efect"; \n' + FORBID + ";", [(1, 101), (4, 1)]),
        (FORBID + '\nwhen { context.user_roles.contains("admni") };', [(2, 37)]),
        (NOTES.format(lane="never") + '@ends("limit.stps") forbid (principal, action, resource);', [(1, 1)]),
        (FORBID + ";", []),
    ],
)
def test_problems_are_found_with_their_places(text: str, places: list[tuple[int, int]]) -> None:
    rules, problems = check_layer(Layer.TENANT, text)
    assert [(problem.line, problem.column) for problem in problems] == places
    assert bool(rules) is not bool(problems)


def test_all_problems_of_many_policies_are_told_each_under_its_own_name() -> None:
    text = "\n".join(
        FORBID.replace('"a"', f'"n{number}"') + (" when { context.efect };" if number in (3, 11) else ";")
        for number in range(12)
    )
    problems = check_layer(Layer.TENANT, text)[1]
    assert [(problem.policy, problem.line) for problem in problems] == [("tenant/n3", 4), ("tenant/n11", 12)]
    assert "`effect`" in problems[0].message
