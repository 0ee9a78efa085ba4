"""References to settings in a catalogue: `${NAME}`, or `${NAME:-default}` where the default may hold references."""

import re
from collections.abc import Mapping
from datetime import date
from typing import TypeAlias

_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-((?:[^${}]|\$\{[^{}]*\})*))?\}")


Yaml: TypeAlias = "dict[str, Yaml] | list[Yaml] | str | int | float | bool | date | None"


class UnsetError(LookupError):
    """A reference without a default names a setting that is not set; the argument is its name."""


def resolve(node: Yaml, settings: Mapping[str, str]) -> Yaml:
    """Return the parsed YAML `node` with every reference in its strings replaced. Values are not searched again.

    An empty setting counts as unset.

    Raises:
        UnsetError: a setting without a default is not set.
    """
    match node:
        case str():
            return _REFERENCE.sub(lambda found: _value(found, settings), node)
        case list():
            return [resolve(item, settings) for item in node]
        case dict():
            return {key: resolve(value, settings) for key, value in node.items()}
        case _:
            return node


def _value(found: re.Match[str], settings: Mapping[str, str]) -> str:
    name, default = found.group(1), found.group(2)
    if value := settings.get(name):
        return value
    if default is None:
        raise UnsetError(name)
    return _REFERENCE.sub(lambda inner: _value(inner, settings), default)
