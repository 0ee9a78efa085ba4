"""Reading one layer of policies: everything that can be wrong with a text is found here, before it is in force."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

import cedarpy
from pydantic import BaseModel, Field, JsonValue, ValidationError

from core import Confidentiality, Effect, Integrity, Lane, PrincipalKind, Role
from core.errors import Unprocessable

MAX_TEXT_BYTES = 32_000
MAX_POLICIES = 100
_MAX_DEPTH = 32  # Cedar's parser overflows the stack, and takes the process with it, at a few hundred
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_REASON = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_STRINGS_AND_COMMENTS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*', re.DOTALL)


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
    """

    id: str
    layer: Layer
    lane: Lane
    reason: str
    policy: JsonValue


class _Parsed(BaseModel):
    templates: dict[str, JsonValue]
    policies: dict[str, dict[str, JsonValue]] = Field(alias="staticPolicies")


@cache
def schema() -> cedarpy.Schema:
    """Return the schema of all policies, parsed once per process."""
    return cedarpy.Schema.from_str(_schema_text())


@cache
def _schema_text() -> str:
    return (files("control") / "policies" / "schema.cedarschema").read_text(encoding="utf-8")


def publisher_text() -> str:
    """Return the policies that ship with the code."""
    return (files("control") / "policies" / "publisher.cedar").read_text(encoding="utf-8")


def parse_layer(layer: Layer, text: str) -> list[Rule]:
    """Return the policies of one layer in the order of the text.

    Raises:
        Unprocessable: `policy.syntax`, `policy.schema`, `policy.annotation`, `policy.duplicate`, or, for a policy
            that would widen what a layer above allows, `policy.loosens`.
    """
    _check_size(text)
    parsed = _parse(text)
    rules = [_rule(layer, policy) for policy in parsed]
    _check_duplicates(rules)
    _check_schema(text, rules)
    for rule in rules:
        _check_words(rule)
    return rules


def _check_size(text: str) -> None:
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise Unprocessable(f"The policies are longer than {MAX_TEXT_BYTES} bytes; shorten them.", code="policy.syntax")
    depth = 0
    for char in _STRINGS_AND_COMMENTS.sub("", text):
        depth += (char in "([{") - (char in ")]}")
        if depth > _MAX_DEPTH or depth < 0:
            raise _too_deep() if depth > 0 else _syntax("a bracket is closed that was never opened")


def _parse(text: str) -> list[dict[str, JsonValue]]:
    try:
        whole = cedarpy.policies_to_json_str(text)
    except ValueError as error:
        raise _syntax(str(error)) from None
    try:
        # Cedar and pydantic each refuse what is nested too deeply for them.
        cedarpy.PolicySet.from_json_str(whole)
        parsed = _Parsed.model_validate_json(whole)
    except (ValueError, ValidationError):
        raise _too_deep() from None
    if parsed.templates:
        raise _syntax("a template (`?principal`, `?resource`) is not a policy; write it out")
    if len(parsed.policies) > MAX_POLICIES:
        raise _syntax(f"there are more than {MAX_POLICIES} policies")
    return list(parsed.policies.values())


def _rule(layer: Layer, policy: dict[str, JsonValue]) -> Rule:
    notes = policy.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    name, lane, reason = (str(notes.get(key) or "") for key in ("id", "lane", "reason"))
    if not _ID.fullmatch(name):
        raise _refused(
            "annotation", name, 'give it an @id("...") of lower-case letters, digits and hyphens, at most 64'
        )
    if not _REASON.fullmatch(reason):
        raise _refused("annotation", name, 'give it a @reason("...") of one line, 300 characters at most')
    permits = policy.get("effect") == "permit"
    allowed = {Lane.NEVER} if not permits else {Lane.APPROVAL, Lane.AUTOMATIC}
    if lane not in allowed:
        words = " or ".join(f'@lane("{item}")' for item in sorted(allowed))
        raise _refused("annotation", name, f"a {policy.get('effect')} needs {words}")
    if permits and layer is not Layer.PUBLISHER and lane != Lane.APPROVAL:
        raise _refused("loosens", name, 'this layer can only tighten: use `forbid`, or `permit` with @lane("approval")')
    return Rule(id=f"{layer}/{name}", layer=layer, lane=Lane(lane), reason=reason, policy=policy)


def _check_duplicates(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise _refused("duplicate", rule.id, "another policy has the same @id; rename one of them")
        seen.add(rule.id)


def _check_schema(text: str, rules: Sequence[Rule]) -> None:
    result = cedarpy.validate_policies(text, schema())
    if result.validation_passed:
        return
    error = result.errors[0]
    number = error.policy_id.removeprefix("policy")
    name = rules[int(number)].id if number.isdigit() else "the policies"
    raise _refused("schema", name, error.error.removeprefix(f"for policy `{error.policy_id}`, "))


def _check_words(rule: Rule) -> None:
    """Find what Cedar takes for merely false: `has` of a name that nothing has, and words that are never said."""
    for operator, operands in _expressions(rule.policy):
        left, right = operands.get("left"), operands.get("right")
        if operator == "has" and (left != {"Var": "context"} or operands.get("attr") not in _names()):
            raise _refused("schema", rule.id, f"nothing is ever called `{operands.get('attr')}`; see the schema")
        if operator not in ("==", "!=", "contains"):
            continue
        for fact, word in ((_fact(left), _literal(right)), (_fact(right), _literal(left))):
            if fact in _VOCABULARY and word is not None and word not in _VOCABULARY[fact]:
                known = ", ".join(sorted(_VOCABULARY[fact]))
                raise _refused("schema", rule.id, f'`{fact}` is never "{word}"; it is one of: {known}')


_VOCABULARY = {
    "effect": frozenset(Effect),
    "context_integrity": frozenset(Integrity),
    "collection_integrity": frozenset(Integrity),
    "context_confidentiality": frozenset(Confidentiality),
    "principal_kind": frozenset(PrincipalKind),
    "user_roles": frozenset(Role),
}


def _expressions(node: JsonValue) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict):
                yield key, value
            yield from _expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from _expressions(item)


def _fact(node: JsonValue) -> str:
    match node:
        case {".": {"left": {"Var": "context"}, "attr": str(name)}}:
            return name
        case _:
            return ""


def _literal(node: JsonValue) -> str | None:
    match node:
        case {"Value": str(word)}:
            return word
        case _:
            return None


@cache
def _names() -> frozenset[str]:
    return frozenset(re.findall(r"(\w+)\??: (?:String|Long|Bool|Set)", _schema_text()))


def _refused(code: str, policy: str, what: str) -> Unprocessable:
    return Unprocessable(f"Policy `{policy or '(without an id)'}`: {what}.", code=f"policy.{code}")


def _syntax(what: str) -> Unprocessable:
    return Unprocessable(f"The policies cannot be read: {what}.", code="policy.syntax")


def _too_deep() -> Unprocessable:
    return _syntax("something is nested or chained too deeply; split it into several policies")
