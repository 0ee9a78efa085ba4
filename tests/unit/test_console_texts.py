"""The console's words: each that is used is there, each that is there is used, and each is drawn."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel import Locale

from interaction.console.texts import LANGUAGE, t, texts

CONSOLE = Path(__file__).parents[2] / "src" / "interaction" / "console"
CALL = re.compile(r"""\bt\(\s*["']([a-z0-9_.]+)["']\s*(~)?""")
"""A text in a template; with `~` the key goes on with a value: `t("badge.state." ~ state)`."""

PUT_TOGETHER = (
    re.compile(r"badge\.\w+\.\w+"),
    re.compile(r"nav\.\w+\.about"),
    re.compile(r"error\.[a-z_.]+\.title"),
    re.compile(r"error\.status\.\d{3}"),
)
"""Keys made of several values."""


def used() -> Iterator[tuple[str, bool]]:
    """Yield each key, or the beginning of one, and whether it is whole."""
    for path in CONSOLE.glob("templates/**/*.html"):
        for key, more in CALL.findall(path.read_text()):
            yield key, not more
    for path in CONSOLE.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="t"), args=[ast.Constant(value=str(key)), *_]):
                    yield key, True
                case _:
                    pass


def test_every_text_that_is_used_is_there() -> None:
    whole = {key for key, is_whole in used() if is_whole}
    assert len(whole) > 30
    assert whole - set(texts()) == set()
    for start in {key for key, is_whole in used() if not is_whole}:
        assert any(key.startswith(start) for key in texts()), f"no text begins with {start}"


def test_every_text_that_is_there_is_used() -> None:
    whole = {key for key, is_whole in used() if is_whole}
    starts = tuple(key for key, is_whole in used() if not is_whole)
    unused = {
        key
        for key in texts()
        if key not in whole and not key.startswith(starts) and not any(p.fullmatch(key) for p in PUT_TOGETHER)
    }
    assert unused == set()


def test_a_text_that_counts_has_all_plurals_of_its_language() -> None:
    forms = {*Locale.parse(LANGUAGE).plural_form.tags, "other"}
    for key, text in texts().items():
        assert isinstance(text, str) or set(text) == forms, key
    assert [t("agents.tools.count", count=count) for count in (0, 1, 2)] == ["0 tools", "1 tool", "2 tools"]


def test_a_text_that_is_not_there_is_an_error_and_not_a_blank() -> None:
    with pytest.raises(KeyError):
        t("nothing.of.this.name")
