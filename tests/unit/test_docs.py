"""What the documents say is so: every code, file, command, route and event that they name exists; none is missing."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml
from fastapi.routing import APIRoute

import core.errors
import interaction.routes
from core.bodies import Body
from core.errors import MandateError
from mandate.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FOREIGN = tuple(ROOT / "src" / "emulators" / name for name in ("model_endpoint", "marketplace"))
SOURCES = sorted(path for path in ROOT.glob("src/**/*.py") if not any(path.is_relative_to(one) for one in _FOREIGN))
"""These emulators are left out: their error codes are those of the services that they stand for."""

TESTS = sorted(ROOT.glob("tests/**/*.py"))
"""Some settings are theirs: what to try, and on what."""

PARAMETERS = sorted([*ROOT.glob("environments/*/main.bicepparam"), ROOT / "infra/main.bicepparam"])

_STARTS = ("src/", "tests/", "docs/", "agents/", "environments/", "infra/")
_ENDS = re.compile(r"\.(py|md|yaml|cedar|cedarschema|sql|toml|txt)$|^(Makefile|LICENSE)$")
_NO_CODES = {"backoffice.call", "backoffice.yaml", "egress.yaml", "egress.md"}
"""They look like codes of ours, and are an app role and files."""


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _spans(text: str) -> Iterator[str]:
    """Yield what stands in backticks, outside fenced blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"`([^`\n]+)`", prose):
        yield match.group(1)


def _code(text: str) -> Iterator[str]:
    """Yield everything that is set as code."""
    yield from _spans(text)
    for match in re.finditer(r"^```(?!mermaid)\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match.group(1)


def _first_column(text: str) -> list[str]:
    """Return the code that begins each row of a table."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


@cache
def _trees() -> list[ast.AST]:
    return [ast.parse(path.read_text()) for path in SOURCES]


def _strings(node: ast.expr) -> Iterator[str]:
    """Yield the strings that an expression may be: itself, or either side of a choice."""
    match node:
        case ast.Constant(value=str(value)):
            yield value
        case ast.IfExp(body=body, orelse=orelse):
            yield from _strings(body)
            yield from _strings(orelse)
        case _:
            pass


def _codes_given(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each code that stands as `code="..."` or `default_code`, with the name of what it is given to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            for keyword in node.keywords:
                if keyword.arg == "code" and name != "Versions":  # there it is that of the program
                    yield from ((code, name) for code in _strings(keyword.value))
        elif isinstance(node, ast.ClassDef):
            for statement in node.body:
                match statement:
                    case (
                        ast.Assign(targets=[ast.Name(id="default_code")], value=ast.expr() as value)
                        | ast.AnnAssign(target=ast.Name(id="default_code"), value=ast.expr() as value)
                    ):
                        yield from ((code, node.name) for code in _strings(value))
                    case _:
                        pass


def _prefixes(tree: ast.AST) -> set[str]:
    """Return the beginnings of codes that are put together: `identity.` of `code=f"identity.{why}"`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="code", value=ast.JoinedStr(values=[ast.Constant(value=str(start)), *_])):
                found.add(start)
            case _:
                pass
    return {start for start in found if start.endswith(".")}


def _put_together(tree: ast.AST) -> Iterator[str]:
    """Yield the codes of a module whose `_refused("...")` puts them together."""
    for prefix in _prefixes(tree):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="_refused"), args=[first, *_]):
                    yield from (prefix + ending for ending in _strings(first))
                case _:
                    pass


def _codes() -> set[str]:
    given = {code for tree in _trees() for code, _ in _codes_given(tree) if re.fullmatch(r"[a-z_]+(\.\w+)*", code)}
    families = {"limit", *(code.partition(".")[0] for code in given)}
    told = {
        node.value
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z_]+\.[a-z_]+", node.value)
        and node.value.partition(".")[0] in families
        and not node.value.endswith(".html")  # a template
    }
    peers = yaml.safe_load(_text("environments/services.yaml"))["services"]["interaction"]["peers"]
    of_peers = {f"{family}.{peer}" for family in ("dependency", "timeout") for peer in peers}
    together = {code for tree in _trees() for code in _put_together(tree)}
    return (given | told | of_peers | together | {"backoffice.<status>"}) - _NO_CODES


def test_every_error_code_is_in_the_document_and_the_document_names_no_other() -> None:
    documented = _first_column(_text("docs/errors.md"))
    assert sorted(documented) == sorted(set(documented)), "a code stands in the document twice"
    assert _codes() - set(documented) == set(), "codes that docs/errors.md lacks"
    assert set(documented) - _codes() == set(), "codes that docs/errors.md names and no code raises"


def test_the_status_of_each_code_is_that_of_its_error() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", _text("docs/errors.md"), re.MULTILINE)
    documented = {code: set(re.findall(r"\d{3}", status)) for code, status in rows}
    for tree in _trees():
        for code, name in _codes_given(tree):
            kind: object = vars(core.errors).get(name)
            if isinstance(kind, type) and issubclass(kind, MandateError) and documented[code]:
                assert str(int(kind.status)) in documented[code], f"{code} comes with {int(kind.status)}"


def _is_path(span: str) -> bool:
    if "://" in span or " " in span or span.startswith(("/", ".", "-")):
        return False
    return span.startswith(_STARTS) or bool(_ENDS.search(span))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text()
    links = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target]
    for target in links:
        assert (document.parent / target).exists(), f"there is no {target}"
    for span in filter(_is_path, _spans(text)):
        pattern = re.sub(r"<[^>]+>", "*", span.rstrip("/"))
        places = (ROOT, ROOT / "src", document.parent, ROOT / "docs")
        assert any(next(place.glob(pattern), None) for place in places), f"there is no {span}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_setting_that_is_named_exists(document: Path) -> None:
    command = typer.main.get_command(app)
    commands: dict[str, object] = vars(command)["commands"]
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))
    known = "".join(path.read_text() for path in [*SOURCES, *ROOT.glob("environments/**/*.yaml"), *PARAMETERS, *TESTS])
    for code in _code(document.read_text()):
        for first, second in re.findall(r"(?:^|[\s/])mandate ([a-z]+)(?: ([a-z][a-z-]*))?", code, re.MULTILINE):
            assert first in commands, f"there is no `mandate {first}`"
            inner: dict[str, object] = vars(commands[first]).get("commands", {})
            assert not inner or not second or second in inner, f"there is no `mandate {first} {second}`"
        for target in re.findall(r"^make ([a-z]+)", code, re.MULTILINE):
            assert target in targets, f"there is no `make {target}`"
        for setting in re.findall(r"MANDATE_[A-Z_0-9]+[A-Z0-9]", code):
            short = setting.removeprefix("MANDATE_").lower()
            assert setting in known or f"    {short}: " in known, f"there is no setting {setting}"


def test_the_api_document_has_exactly_the_routes_of_the_edge() -> None:
    documented = set(re.findall(r"^\| `([A-Z]+ (?:/openai)?/v1[^`]*)`", _text("docs/api.md"), re.MULTILINE))
    assert documented == {
        f"{method} {route.path}"
        for module in pkgutil.iter_modules(interaction.routes.__path__, "interaction.routes.")
        for route in importlib.import_module(module.name).router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def test_the_architecture_lists_exactly_the_events_of_the_log() -> None:
    union = get_args(get_args(Body)[0])
    types = {kind.model_fields["type"].default for kind in union}
    _, _, listed = _text("docs/architecture.md").partition("## The events")
    assert set(_first_column(listed.partition("\n## ")[0])) == types


@pytest.mark.parametrize(("name", "lines"), [("README.md", 120), ("AGENTS.md", 60)])
def test_what_is_read_first_is_short(name: str, lines: int) -> None:
    assert len(_text(name).splitlines()) <= lines
