"""The rules of the gate: three layers of Cedar in one set, each able only to tighten the one above.

The lane of an action is Cedar's answer together with the strictest `@lane` among the policies that gave it; how many
people have to approve is the highest `@approvers` among them. Whatever is not a clear answer is `never`: an error in
any policy, a fact that is missing, misspelt or unknown.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import cedarpy
import orjson

from control.policy_facts import fits, schema, spoken_of
from control.policy_text import Layer, Rule, parse_layer
from core import ActionKind, Decision, Facts, Json, Lane, PrincipalKind, canonical, digest

NOTHING_PERMITS = "No policy permits this."
NOT_EVALUATED = "The policies could not be evaluated for this action, so it was refused."

_PRINCIPALS = {PrincipalKind.AGENT: "Agent", PrincipalKind.USER: "User", PrincipalKind.SERVICE: "Service"}
_RESOURCES = {
    ActionKind.CALL_MODEL: "Model",
    ActionKind.RETRIEVE: "Collection",
    ActionKind.CALL_TOOL: "Tool",
    ActionKind.INGEST: "Collection",
    ActionKind.SHOW: "Model",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What the rules are asked: who does what to what, and every fact that the action's context must have."""

    principal: tuple[PrincipalKind, str]
    kind: ActionKind
    target: str
    facts: Facts

    def request(self, spoken_of: Collection[str]) -> dict[str, object]:
        """Return it as Cedar takes it, with those facts only that policies speak of."""
        kind, name = self.principal
        return {
            "principal": {"type": f"Mandate::{_PRINCIPALS[kind]}", "id": name},
            "action": {"type": "Mandate::Action", "id": self.kind.value},
            "resource": {"type": f"Mandate::{_RESOURCES[self.kind]}", "id": self.target},
            "context": orjson.dumps({name: self.facts[name] for name in spoken_of if name in self.facts}).decode(),
        }


class Ruleset:
    """The layers merged and parsed once. Immutable.

    Attributes:
        rules: policy id to what its annotations say, in order of layer and text.
        version: SHA-256 in hex of all policies in canonical form; layout and comments do not count.
    """

    def __init__(self, layers: Mapping[Layer, Sequence[Rule]]) -> None:
        self.rules = {rule.id: rule for layer in Layer for rule in layers.get(layer, ())}
        self._order = {rule: place for place, rule in enumerate(self.rules)}
        self.version = digest(_merged(self.rules.values()))
        # Cedar looks at every policy of a set; those of other actions would only cost time.
        about = {kind: [rule for rule in self.rules.values() if kind in _kinds(rule)] for kind in ActionKind}
        self._policies = {kind: _parsed(rules) for kind, rules in about.items()}
        self._spoken_of = {
            kind: frozenset[str]().union(*(spoken_of(rule.policy) for rule in rules)) for kind, rules in about.items()
        }

    @classmethod
    def compose(cls, *, publisher: str, environment: str = "", tenant: str = "") -> "Ruleset":
        """Parse, check and merge the three texts. Takes milliseconds: keep it off the event loop.

        Raises:
            Unprocessable: see `parse_layer`.
        """
        texts = {Layer.PUBLISHER: publisher, Layer.ENVIRONMENT: environment, Layer.TENANT: tenant}
        return cls({layer: parse_layer(layer, text) for layer, text in texts.items()})

    def decide(self, question: Question) -> Decision:
        """Answer by the facts that these policies speak of; all are in the decision."""
        # Given no schema, Cedar skips a forbid whose facts are missing, and allows; given one, it takes twice as long.
        if not fits(question.kind, question.facts):
            return self._unfit(question)
        request = question.request(self._spoken_of[question.kind])
        result = cedarpy.is_authorized(request, self._policies[question.kind], _no_entities())
        reasons = self._by_strictness(result.diagnostics.reasons)
        if result.diagnostics.errors:
            return self._answer(question, Lane.NEVER, self._named_in(result.diagnostics.errors), NOT_EVALUATED)
        match result.decision:
            case cedarpy.Decision.Deny:
                return self._answer(question, Lane.NEVER, reasons, NOTHING_PERMITS if not reasons else None)
            case cedarpy.Decision.Allow if any(self.rules[rule].layer is Layer.PUBLISHER for rule in reasons):
                return self._answer(question, self.rules[reasons[0]].lane, reasons)
            case cedarpy.Decision.Allow:
                return self._answer(question, Lane.NEVER, [], NOTHING_PERMITS)
            case _:
                return self._answer(question, Lane.NEVER, [], NOT_EVALUATED)

    def speak_of(self, kind: ActionKind, facts: Collection[str]) -> bool:
        """Return whether any policy about such an action speaks of one of `facts`."""
        return not self._spoken_of[kind].isdisjoint(facts)

    def ends(self, decision: Decision) -> str:
        """Return the code with which a run ends that got this refusal; empty if it may go on without the action."""
        if decision.lane is not Lane.NEVER:
            return ""
        return next(filter(None, (self.rules[rule].ends for rule in decision.policies)), "")

    def _by_strictness(self, rules: Sequence[str]) -> list[str]:
        def place(name: str) -> tuple[int, int, int]:
            return -self.rules[name].lane.strictness, -self.rules[name].approvers, self._order[name]

        return sorted(rules, key=place)

    def _named_in(self, errors: Sequence[str]) -> list[str]:
        return [rule for rule in self.rules if any(f"`{rule}`" in error for error in errors)]

    def _unfit(self, question: Question) -> Decision:
        return Decision(
            lane=Lane.NEVER,
            policies=(),
            reason=NOT_EVALUATED,
            policy_version=self.version,
            facts=dict(question.facts),
        )

    def _answer(self, question: Question, lane: Lane, rules: Sequence[str], reason: str | None = None) -> Decision:
        return Decision.model_construct(  # of facts that fit, and need no second look
            lane=lane,
            policies=tuple(rules),
            reason=reason or self.rules[rules[0]].reason,
            policy_version=self.version,
            facts=dict(question.facts),
            approvers=max(self.rules[rule].approvers for rule in rules) if lane is Lane.APPROVAL else 0,
        )


def _kinds(rule: Rule) -> Collection[ActionKind]:
    """Return the actions that a policy may be about: all, where its head names none."""
    head = cast("Mapping[str, Mapping[str, object]]", rule.policy)["action"]
    named = cast("Sequence[Mapping[str, str]]", head.get("entities", [head["entity"]] if "entity" in head else []))
    ids = {entity["id"] for entity in named}
    return [kind for kind in ActionKind if not ids or kind.value in ids]


def _merged(rules: Iterable[Rule]) -> bytes:
    policies = {rule.id: rule.policy for rule in rules}
    whole: dict[str, object] = {"templates": {}, "templateLinks": [], "staticPolicies": policies}
    return canonical(cast("Json", whole))  # Cedar's JSON has no fractions


def _parsed(rules: Iterable[Rule]) -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_json_str(_merged(rules).decode(), release_gil=True)


@cache
def _no_entities() -> cedarpy.Entities:
    """Return the empty set of entities: all that a policy may use is in the request."""
    return cedarpy.Entities.from_json_str("[]", schema())
