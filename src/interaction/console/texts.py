"""Every word that the console says, by key, from `texts/<language>.yaml`."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from babel import Locale

FOLDER = Path(__file__).parent / "texts"

LANGUAGE = "en"
"""The one language that there is so far."""


@cache
def texts(language: str = LANGUAGE) -> Mapping[str, str | Mapping[str, str]]:
    """Return all texts by dotted key. A text that counts has a form for each of the language's plurals."""
    found: dict[str, str | Mapping[str, str]] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text())
    return found


def t(key: str, **values: object) -> str:
    """Return a text with its `{names}` filled in; `count` also chooses between singular and plural.

    Raises:
        KeyError: there is no such text.
    """
    found = texts()[key]
    if not isinstance(found, str):
        found = found[_plural(values["count"])]
    return found.format(**values) if values else found


def known(key: str) -> bool:
    return key in texts()


def _plural(count: object) -> str:
    assert isinstance(count, int), "a text with plurals needs a count"
    return Locale.parse(LANGUAGE).plural_form(count)
