"""The tree of settings that change while the product runs.

What a process needs to start (addresses, identities) is in its environment: `mandate.settings`. Everything here is a
value that may be another in a moment, so whoever uses one asks for it each time.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from control import ChangeBounds, Flag, Flags, Slug
from core.errors import Defect
from mandate.plans import Plan

Tree = Mapping[str, JsonValue]

CANDIDATE = "candidate"
"""Id of the flag of a release under way, which no file has: those who have it reach the candidate revision."""


class Live(BaseModel):
    """The values.

    Attributes:
        plans: what a tenant may spend and how fast it may ask, by plan.
        change_windows: what organisations may choose of when changes come to them.
        rings: in which tenants get changes, the first ones first; the last is everybody else's.
        flags: the features, in the schema of Microsoft's feature management.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    plans: Annotated[dict[Slug, Plan], Field(min_length=1)]
    change_windows: ChangeBounds
    rings: Annotated[tuple[Slug, ...], Field(min_length=1)]
    flags: tuple[Flag, ...]


def parse(tree: Tree) -> Live:
    """Return the values of a tree.

    Raises:
        Defect: it does not hold what it has to; the message says where and why (`defect.configuration`).
    """
    try:
        live = Live.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _unusable(f"{where}: {first['msg']}") from None
    Flags(live.flags)
    for flag in live.flags:
        if unknown := _rings_of(flag).difference(live.rings):
            raise _unusable(f"flags: `{flag.id}` names the ring `{min(unknown)}`, which is none of `rings`")
    return live


def merged(*trees: Tree) -> Tree:
    """Return all values of several trees; of the same name the later one counts. Lists are one value."""
    whole: dict[str, JsonValue] = {}
    for tree in trees:
        for name, value in tree.items():
            before = whole.get(name)
            whole[name] = dict(merged(before, value)) if isinstance(before, dict) and isinstance(value, dict) else value
    return whole


def leaves(tree: Tree, path: str = "") -> dict[str, JsonValue]:
    """Return every value by its path, such as `plans:team:budget:micros`."""
    found: dict[str, JsonValue] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= leaves(value, f"{path}{name}:")
        else:
            found[f"{path}{name}"] = value
    return found


def grown(values: Mapping[str, JsonValue]) -> Tree:
    """Return the tree of such values.

    Raises:
        Defect: a path goes on below a value (`defect.configuration`).
    """
    tree: dict[str, JsonValue] = {}
    for path, value in values.items():
        *branches, name = path.split(":")
        node = tree
        for branch in branches:
            below = node.setdefault(branch, {})
            if not isinstance(below, dict):
                raise _unusable(f"{path}: there is a value above it")
            node = below
        node[name] = value
    return tree


def filled(value: JsonValue) -> JsonValue:
    """Return a value without what is empty in it: the store's client writes out what nobody has said."""
    match value:
        case dict():
            cleaned = {name: filled(one) for name, one in value.items()}
            return {name: one for name, one in cleaned.items() if one not in (None, {}, [])}
        case list():
            return [filled(one) for one in value]
        case _:
            return value


def flags_of(tree: Tree) -> Sequence[Mapping[str, JsonValue]]:
    """Return the flags of a tree that was validated, as they stand there."""
    return cast("Sequence[Mapping[str, JsonValue]]", tree["flags"])


def _rings_of(flag: Flag) -> set[str]:
    found: set[str] = set()
    for one in flag.conditions.client_filters:
        if one.name == "Microsoft.Targeting":
            audience = one.parameters.audience
            found |= {group.name for group in audience.groups} | {*audience.excluded.groups}
        else:
            found |= {*one.parameters.since}
    return found


def _unusable(why: str) -> Defect:
    return Defect(f"The configuration cannot be used. {why}.", code="defect.configuration")
