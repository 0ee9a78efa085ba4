"""Filling a tool's arguments from what was said: the request first, then tool results, then earlier messages."""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from emulators.model_endpoint.conversation import JsonObject, as_list, as_object, as_text
from emulators.model_endpoint.free_text import write
from emulators.model_endpoint.schema import STRICT, Field, Kind, field_of, fields
from emulators.model_endpoint.values import (
    Found,
    amounts,
    dates,
    emails,
    fits,
    identifiers,
    links,
    matching,
    member_named,
    names,
    numbers,
    quotes,
)
from emulators.model_endpoint.words import WORD, stem, word_set

_NEGATED = re.compile(r"(?:\bno|\bnot|n't|\bnever|\bwithout)\s+(?:\w+\s+){0,3}$", re.IGNORECASE)
_JOINTS = word_set("number no nr id code reference is of named called with")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where arguments may come from.

    Attributes:
        clause: the part of the request that asks for the tool.
        request: the whole request.
        preamble: what the user says before the first order, often the reason for it.
        known: JSON results of tools, the latest first.
        earlier: what the user said before, the latest first.
    """

    clause: str
    request: str = ""
    preamble: str = ""
    known: tuple[object, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(slots=True)
class Filled:
    """Arguments found, and the required parameters for which nothing was."""

    arguments: dict[str, object] = field(default_factory=dict[str, object])
    missing: list[Field] = field(default_factory=list[Field])
    used: list[Found] = field(default_factory=list[Found])
    """What was read from the clause, so that nothing is read twice."""


def fill(parameters: JsonObject, sources: Sources) -> Filled:
    """Fill what `parameters` (an object schema) asks for; free text last, from what the others left over."""
    filled = Filled()
    wanted = fields(parameters)
    for one in sorted(wanted, key=lambda f: (f.kind == "text", not f.required, f.kind not in STRICT)):
        value = _value(one, sources, filled)
        if value is not None:
            filled.arguments[one.name] = value
        elif one.required:
            filled.missing.append(one)
    order = [one.name for one in wanted]
    filled.arguments = {name: filled.arguments[name] for name in order if name in filled.arguments}
    return filled


def names_argument(parameters: JsonObject, text: str) -> bool:
    """Return whether `text` holds a value for a required parameter that cannot be mistaken for ordinary words."""
    strict = [f for f in fields(parameters) if f.required and f.kind in STRICT and f.kind != "choice"]
    return any(_from_text(f, text, Filled()) is not None for f in strict)


def _value(one: Field, sources: Sources, filled: Filled) -> object | None:
    if one.kind == "constant":
        return one.schema["const"] if one.required else None
    if one.kind == "object":
        inner = fill(one.schema, sources)
        return inner.arguments if inner.arguments and not inner.missing else None
    if one.kind == "text":
        return write(one, (sources.clause, sources.preamble, sources.request), filled.used) if one.required else None
    found = _from_text(one, sources.clause, filled)
    if found is None and one.kind in STRICT:
        elsewhere = _from_text(one, sources.request, Filled())
        found = elsewhere if elsewhere not in filled.arguments.values() else None
    if found is not None or not one.required:
        return found
    return _from_memory(one, sources)


def _from_memory(one: Field, sources: Sources) -> object | None:
    for result in sources.known:
        for value in _named(result, one.name):
            if _acceptable(one, value):
                return value
    if one.kind in STRICT - {"money", "cents", "choice"}:
        for text in sources.earlier:
            if (value := _from_text(one, text, Filled())) is not None:
                return value
    return one.schema.get("default")


def _named(value: object, name: str) -> Iterator[object]:
    """Yield the fields called `name` anywhere in a JSON value, outermost first."""
    members = as_object(value)
    if members is not None and name in members:
        yield members[name]
    for inner in members.values() if members is not None else as_list(value):
        yield from _named(inner, name)


def _from_text(one: Field, text: str, filled: Filled) -> object | None:
    match one.kind:
        case "choice":
            return member_named(as_list(one.schema.get("enum")), text)
        case "flag":
            return _flag(one, text)
        case "list":
            return _all(one, text)
        case _:
            found = _first(one, text, filled.used)
            if found:
                filled.used.append(found)
            return found.value if found else None


def _first(one: Field, text: str, used: list[Found]) -> Found | None:
    """Return the first fitting value, rather one that stands beside the parameter's own name."""
    taken = [(f.start, f.end) for f in used]
    free = [
        f
        for f in _candidates(one, text)
        if _acceptable(one, f.value) and not any(start < f.end and f.start < end for start, end in taken)
    ]
    beside = [f for f in free if _stands_beside(one, text, f)]
    ambiguous = one.kind in ("identifier", "pattern", "name", "number") and not one.required
    shaped = [f for f in free if one.kind in ("identifier", "pattern") and _like_an_example(one, f)]
    return next(iter(beside or shaped or ([] if ambiguous else free)), None)


def _candidates(one: Field, text: str) -> list[Found]:
    finders: dict[Kind, Callable[[str], Iterator[Found]]] = {
        "pattern": lambda t: _outside_amounts(matching(as_text(one.schema.get("pattern")), t), t),
        "email": emails,
        "link": links,
        "date": dates,
        "identifier": identifiers,
        "cents": amounts,
        "number": numbers,
    }
    if finder := finders.get(one.kind):
        return list(finder(text))
    if one.kind == "money":
        return [Found(_major(f.value), f.start, f.end) for f in amounts(text)] or list(numbers(text))
    return [*quotes(text), *identifiers(text), *names(text)]


def _outside_amounts(found: Iterator[Found], text: str) -> Iterator[Found]:
    """Leave out what is an amount of money: `EUR49` has the form of many an identifier."""
    taken = [(f.start, f.end) for f in amounts(text)]
    return (f for f in found if not any(start <= f.start < end for start, end in taken))


def _major(minor: object) -> int | float:
    assert isinstance(minor, int)
    return minor // 100 if minor % 100 == 0 else minor / 100


def _stands_beside(one: Field, text: str, found: Found) -> bool:
    before = [w.lower() for w in WORD.findall(text[max(0, found.start - 60) : found.start])]
    while before and before[-1] in _JOINTS and stem(before[-1]) not in one.words:
        before.pop()
    after = WORD.match(text[found.end :].lstrip())
    near = {stem(word) for word in before[-1:]} | ({stem(after[0])} if after and one.kind == "number" else set[str]())
    return bool(near & (one.words | (one.described if one.kind == "number" else frozenset())))


def _like_an_example(one: Field, found: Found) -> bool:
    """Return whether an identifier begins with the letters of one that the description gives as an example."""
    letters = _letters(str(found.value))
    return any(_letters(str(example.value)) == letters for example in _candidates(one, one.description))


def _letters(identifier: str) -> str:
    return "".join(takewhile(str.isalpha, identifier))


def _flag(one: Field, text: str) -> bool | None:
    for word in WORD.finditer(text):
        if stem(word[0]) in one.words:
            return not _NEGATED.search(text[: word.start()])
    return None


def _all(one: Field, text: str) -> list[object] | None:
    item = field_of(one.name, one.schema.get("items"), {}, required=True)
    if item.kind == "choice":
        members = [m for m in as_list(item.schema.get("enum")) if member_named([m], text)]
        return members or None
    values = [f.value for f in _candidates(item, text) if _acceptable(item, f.value)]
    return list(dict.fromkeys(values)) or None


def _acceptable(one: Field, value: object) -> bool:
    """Return whether `value` meets the limits that the schema states."""
    members = as_list(one.schema.get("enum"))
    if members:
        return value in members
    if isinstance(value, bool):
        return one.kind == "flag"
    if isinstance(value, int | float):
        return one.kind in ("number", "money", "cents") and _within(one.schema, value, "minimum", "maximum")
    if not isinstance(value, str) or one.kind in ("number", "money", "cents", "flag"):
        return False
    pattern = as_text(one.schema.get("pattern"))
    return (not pattern or fits(pattern, value)) and _within(one.schema, len(value), "minLength", "maxLength")


def _within(schema: JsonObject, value: float, least: str, most: str) -> bool:
    if schema.get("type") == "integer" and not isinstance(value, int):
        return False
    limits: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
        (least, operator.ge),
        (most, operator.le),
        (f"exclusive{least.capitalize()}", operator.gt),
        (f"exclusive{most.capitalize()}", operator.lt),
    )
    return all(keeps(value, limit) for name, keeps in limits if isinstance(limit := schema.get(name), int | float))
