"""The sentence that tells an approver what will happen.

A model chose the values in it, so they must not read as our words.
"""

import re
from collections.abc import Collection, Mapping
from string import Formatter

from core import Json
from core.errors import Defect

_PLAIN = re.compile(r"[\w.@+-]{1,120}")
_LONGEST = 200


def check_template(template: str, parameters: Collection[str]) -> None:
    """Raise `Defect` unless `template` says something and every placeholder in it is a parameter."""
    names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    if not template or not names <= set(parameters):
        raise Defect(f"A consequence names what is no parameter: {template}", code="defect.tool")


def render(template: str, values: Mapping[str, Json]) -> str:
    parts: list[str] = []
    for literal, name, form, _ in Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            parts.append(_money(values[name]) if form == "money" else _quoted(values[name]))
    return "".join(parts)


def amounts(template: str) -> frozenset[str]:
    """Return the parameters that the sentence prints as money: amounts in cents."""
    return frozenset(name for _, name, form, _ in Formatter().parse(template) if name and form == "money")


def worded(template: str, name: str, value: Json) -> str:
    """Return one value as people read it: as money where the sentence prints it so."""
    if name in amounts(template):
        return _money(value)
    match value:
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _money(cents: Json) -> str:
    assert isinstance(cents, int)
    return f"{cents // 100:,}.{cents % 100:02d}"


def _quoted(value: Json) -> str:
    """Set anything but one plain word in quotation marks, without control or direction characters, cut to size."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    clean = "".join(c if c.isprintable() else " " for c in text).replace('"', "'")
    return f'"{clean[:_LONGEST]}…"' if len(clean) > _LONGEST else f'"{clean}"'
