"""The filters that are understood: a security filter on groups, and a choice among values.

https://learn.microsoft.com/azure/search/search-security-trimming-for-azure-search
"""

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import TypeAdapter

from core.errors import BadRequest

Document = Mapping[str, object]
Keeps = Callable[[Document], bool]

_NAMES = TypeAdapter(list[str])
_NAME = r"([A-Za-z][A-Za-z0-9_]*)"
_OPEN = re.compile(rf"\(not {_NAME}/any\(\)\)")
_TEXT = r"'((?:[^']|'')*)'"
_GROUPS = re.compile(rf"\(not {_NAME}/any\(\) or {_NAME}/any\(g: search\.in\(g, {_TEXT}, '\|'\)\)\)")
_VALUES = re.compile(rf"search\.in\({_NAME}, {_TEXT}, '\|'\)")


def parse_filter(text: str, filterable: Sequence[str]) -> Keeps:
    """Return which documents `text` keeps.

    Raises:
        BadRequest: it is none of those filters, or a field in it is not filterable.
    """
    parts = [_part(part, filterable) for part in text.split(" and ")] if text else []
    return lambda document: all(keeps(document) for keeps in parts)


def _part(text: str, filterable: Sequence[str]) -> Keeps:
    if found := _OPEN.fullmatch(text):
        field = _known(found[1], filterable)
        return lambda document: not _list(document, field)
    if (found := _GROUPS.fullmatch(text)) and found[1] == found[2]:
        field, named = _known(found[1], filterable), _values(found[3])
        return lambda document: not _list(document, field) or not named.isdisjoint(_list(document, field))
    if found := _VALUES.fullmatch(text):
        field, named = _known(found[1], filterable), _values(found[2])
        return lambda document: document.get(field) in named
    raise BadRequest("Invalid expression: this filter is not understood here.")


def _values(text: str) -> frozenset[str]:
    return frozenset(text.replace("''", "'").split("|"))


def _known(field: str, filterable: Sequence[str]) -> str:
    if field not in filterable:
        raise BadRequest("Invalid expression: a field in it is not filterable.")
    return field


def _list(document: Document, field: str) -> Sequence[str]:
    return _NAMES.validate_python(document.get(field) or [])
