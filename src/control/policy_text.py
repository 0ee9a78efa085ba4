"""Reading one layer of policies: everything that can be wrong with a text is found here, before it is in force."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files

import cedarpy
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from control.policy_facts import VOCABULARY, all_facts, expressions, fact, schema
from control.policy_places import Places
from core import ActionKind, Lane
from core.errors import Unprocessable

MAX_TEXT_BYTES = 32_000
MAX_POLICIES = 100
MOST_APPROVERS = 5
_MAX_DEPTH = 32  # Cedar's parser overflows the stack, and takes the process with it, at a few hundred
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_APPROVERS = re.compile(rf"[1-{MOST_APPROVERS}]")
_REASON = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_STRINGS_AND_COMMENTS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*', re.DOTALL)

ENDS = (
    "limit.steps",
    "limit.tokens",
    "limit.cost",
    "limit.seconds",
    "limit.tool_calls",
    "limit.calls_in_hour",
    "refused.switched_off",
    "refused.claim_lapsed",
    "refused.agent_expired",
    "refused.agent_revoked",
    "refused.agent_unsponsored",
    "refused.no_role",
    "refused.not_entitled",
)
"""What `@ends` may say: the codes with which a run ends that a policy stopped."""


class Layer(StrEnum):
    """From the widest to the narrowest; each can only tighten those before it."""

    PUBLISHER = "publisher"
    ENVIRONMENT = "environment"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy that passed every check.

    Attributes:
        id: `<layer>/<@id>`.
        policy: Cedar's own JSON form of it.
        ends: the code with which a run ends that it stops; empty if that may go on without the action.
        approvers: how many different people have to approve what it leaves to people; 0 in other lanes.
    """

    id: str
    layer: Layer
    lane: Lane
    reason: str
    policy: JsonValue
    ends: str = ""
    approvers: int = 0


class PolicyProblem(BaseModel):
    """What is wrong with a text, where it stands, and what to change.

    Attributes:
        code: `syntax`, `schema`, `annotation`, `duplicate` or `loosens`.
        policy: id of the policy; empty where none can be told.
        line, column: from 1.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    policy: str
    what: str
    line: int = 1
    column: int = 1

    @property
    def message(self) -> str:
        if self.code == "syntax":
            return f"The policies cannot be read: {self.what}."
        return f"Policy `{self.policy or '(without an id)'}`: {self.what}."


class _Parsed(BaseModel):
    templates: dict[str, JsonValue]
    policies: dict[str, dict[str, JsonValue]] = Field(alias="staticPolicies")


def publisher_text() -> str:
    """Return the policies that ship with the code."""
    return (files("control") / "policies" / "publisher.cedar").read_text(encoding="utf-8")


def parse_layer(layer: Layer, text: str) -> list[Rule]:
    """Return the policies of one layer in the order of the text.

    Raises:
        Unprocessable: `policy.syntax`, `policy.schema`, `policy.annotation`, `policy.duplicate`, or, for a policy
            that would widen what a layer above allows, `policy.loosens`: the first of what `check_layer` finds.
    """
    rules, problems = check_layer(layer, text)
    if problems:
        raise Unprocessable(problems[0].message, code=f"policy.{problems[0].code}")
    return rules


def check_layer(layer: Layer, text: str) -> tuple[list[Rule], list[PolicyProblem]]:
    """Return the policies of one layer, in the order of the text, and all that is wrong with it."""
    if unreadable := _size_problem(text):
        return [], [unreadable]
    parsed = _parse(text)
    if isinstance(parsed, PolicyProblem):
        return [], [parsed]
    notes = [_notes(policy) for policy in parsed]
    names = [f"{layer}/{note.get('id', '')}" for note in notes]
    found: list[tuple[int, PolicyProblem]] = []
    for number, policy in enumerate(parsed):
        effect = str(policy.get("effect"))
        found += [(number, problem) for problem in _annotation_problems(layer, names[number], notes[number], effect)]
        if names[number] in names[:number] and notes[number].get("id"):
            found.append((number, _refused("duplicate", names[number], "another policy has the same @id; rename one")))
        found += [(number, problem) for problem in _word_problems(names[number], policy)]
    found += _schema_problems(text, names)
    places = Places(text)
    if found:
        placed = [
            problem.model_copy(update=places.of(number, problem.what if problem.code == "schema" else ""))
            for number, problem in found
        ]
        return [], list(dict.fromkeys(sorted(placed, key=lambda problem: (problem.line, problem.column))))
    return [_rule(layer, *each) for each in zip(names, notes, parsed, strict=True)], []


def _size_problem(text: str) -> PolicyProblem | None:
    if len(text.encode()) > MAX_TEXT_BYTES:
        return _refused("syntax", "", f"they are longer than {MAX_TEXT_BYTES} bytes; shorten them")
    depth = 0
    for char in _STRINGS_AND_COMMENTS.sub("", text):
        depth += (char in "([{") - (char in ")]}")
        if depth > _MAX_DEPTH:
            return _too_deep()
        if depth < 0:
            return _refused("syntax", "", "a bracket is closed that was never opened")
    return None


def _parse(text: str) -> list[dict[str, JsonValue]] | PolicyProblem:
    try:
        whole = cedarpy.policies_to_json_str(text)
    except ValueError as error:
        problem = _refused("syntax", "", str(error))
        return problem.model_copy(update=Places(text).of_syntax(problem.what))
    try:
        # Cedar and pydantic each refuse what is nested too deeply for them.
        cedarpy.PolicySet.from_json_str(whole)
        parsed = _Parsed.model_validate_json(whole)
    except (ValueError, ValidationError):
        return _too_deep()
    if parsed.templates:
        return _refused("syntax", "", "a template (`?principal`, `?resource`) is not a policy; write it out")
    if len(parsed.policies) > MAX_POLICIES:
        return _refused("syntax", "", f"there are more than {MAX_POLICIES} policies")
    return [parsed.policies[key] for key in sorted(parsed.policies, key=_number)]


def _number(policy: str) -> int:
    """Return the place in the text of what Cedar calls `policy12`."""
    return int(policy.removeprefix("policy"))


def _notes(policy: Mapping[str, JsonValue]) -> Mapping[str, str]:
    notes = policy.get("annotations")
    return {name: str(value or "") for name, value in notes.items()} if isinstance(notes, dict) else {}


def _annotation_problems(layer: Layer, name: str, notes: Mapping[str, str], effect: str) -> Iterator[PolicyProblem]:
    lane, ends, permits = notes.get("lane", ""), notes.get("ends", ""), effect == "permit"
    if not _ID.fullmatch(notes.get("id", "")):
        yield _refused("annotation", "", 'give it an @id("...") of lower-case letters, digits and hyphens, at most 64')
    if not _REASON.fullmatch(notes.get("reason", "")):
        yield _refused("annotation", name, 'give it a @reason("...") of one line, 300 characters at most')
    allowed = {Lane.NEVER} if not permits else {Lane.APPROVAL, Lane.AUTOMATIC}
    if lane not in allowed:
        words = " or ".join(f'@lane("{item}")' for item in sorted(allowed))
        yield _refused("annotation", name, f"a {effect} needs {words}")
    elif permits and layer is not Layer.PUBLISHER and lane != Lane.APPROVAL:
        yield _refused("loosens", name, 'this layer can only tighten: use `forbid`, or `permit` with @lane("approval")')
    if ends and (permits or ends not in ENDS):
        yield _refused("annotation", name, f"only a forbid may have @ends, and of these: {', '.join(ENDS)}")
    if "approvers" in notes and (lane != Lane.APPROVAL or not _APPROVERS.fullmatch(notes["approvers"])):
        what = f'only what needs approval may have @approvers, from "1" to "{MOST_APPROVERS}"'
        yield _refused("annotation", name, what)


def _rule(layer: Layer, name: str, notes: Mapping[str, str], policy: JsonValue) -> Rule:
    return Rule(
        id=name,
        layer=layer,
        lane=Lane(notes["lane"]),
        reason=notes["reason"],
        policy=policy,
        ends=notes.get("ends", ""),
        approvers=int(notes.get("approvers", "1")) if notes["lane"] == Lane.APPROVAL else 0,
    )


def _schema_problems(text: str, names: Sequence[str]) -> Iterator[tuple[int, PolicyProblem]]:
    told: set[int] = set()
    for error in cedarpy.validate_policies(text, schema()).errors:
        number = _number(error.policy_id) if error.policy_id.startswith("policy") else 0
        said = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        if number not in told or not said.startswith(_NOBODY):  # which follows from what was told before
            yield number, _refused("schema", names[number], _plainly(said))
        told.add(number)


_NOBODY = "unable to find an applicable action"
_TYPES = {"Long": "a whole number", "String": "a text", "Bool": "yes or no"}


def _plainly(said: str) -> str:
    """Return what Cedar says of a policy in words for whoever writes one."""
    if found := re.match(r"attribute `(\w+)` in context for .* not found", said):
        close = get_close_matches(found[1], sorted(all_facts()), n=1)
        return f"there is no fact `{found[1]}` here" + (f", but there is `{close[0]}`" if close else "; see the schema")
    if found := re.match(r"unexpected type: expected (.+) but saw (.+)", said):
        wanted, got = (_TYPES.get(part, part) for part in found.groups())
        return f"there has to be {wanted}, and this is {got}"
    if found := re.match(r'unrecognized action `Mandate::Action::"(.+)"`', said):
        return f"there is no action `{found[1]}`; there are: {', '.join(ActionKind)}"
    if said.startswith(_NOBODY):
        return "nobody ever does what it speaks of: principal, action and resource do not belong together"
    return said


def _word_problems(name: str, policy: JsonValue) -> Iterator[PolicyProblem]:
    """Find what Cedar takes for merely false: `has` of a name that nothing has, and words that are never said."""
    for operator, operands in expressions(policy):
        left, right = operands.get("left"), operands.get("right")
        if operator == "has" and (left != {"Var": "context"} or operands.get("attr") not in all_facts()):
            yield _refused("schema", name, f"nothing is ever called `{operands.get('attr')}`; see the schema")
        for known, word in ((fact(left), right), (fact(right), left)):
            said = list(_literals(word)) if operator in _COMPARING and known in VOCABULARY else []
            for wrong in [one for one in said if one not in VOCABULARY[known]]:
                words = ", ".join(sorted(VOCABULARY[known]))
                yield _refused("schema", name, f'`{known}` is never "{wrong}"; it is one of: {words}')


_COMPARING = ("==", "!=", "contains", "containsAny", "containsAll")


def _literals(node: JsonValue) -> Iterator[str]:
    match node:
        case {"Value": str(word)}:
            yield word
        case {"Set": list(items)}:
            for item in items:
                yield from _literals(item)
        case _:
            pass


def _refused(code: str, policy: str, what: str) -> PolicyProblem:
    return PolicyProblem(code=code, policy=policy, what=what)


def _too_deep() -> PolicyProblem:
    return _refused("syntax", "", "something is nested or chained too deeply; split it into several policies")
