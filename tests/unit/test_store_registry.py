"""Every place that keeps something of a tenant is in the list that erasing walks through, and the list is tested."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from data import Record
from orchestration import STORES

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
SCHEMA = SRC / "data" / "sqlite" / "schema.sql"
TESTS = ROOT / "tests" / "contract" / "test_data_stores.py"

KEEPERS = {"Cache", "Batches", "OrderedDict", "defaultdict", "Counter", "dict", "list", "set", "deque", "Queue"}
"""What an object may keep something in."""

OF_SOMEBODY = re.compile(
    r"TenantId|PrincipalId|\bKey\b|RunId|VerifiedToken|_Bucket|Index\b|_Listener|bytes|Hashable|\bK\b|datetime"
)
"""Types that say that what is kept is somebody's."""

NOT_KEPT = {
    "core/": "values",
    "emulators/": "not the product: what stands around it on a laptop",
    "mandate/": "the command line, for one command",
    "reading/": "a process for one file",
    "models/": "for one call",
    "tools/": "for one call",
}


def places(kind: str) -> list[str]:
    return [place.partition(":")[2] for store in STORES for place in store.places if place.startswith(f"{kind}:")]


def kinds(model: type[Record]) -> Iterator[str]:
    for child in model.__subclasses__():
        if child.__module__.split(".")[0] in ("control", "data", "orchestration", "interaction"):
            if child.kind:
                yield child.kind
            yield from kinds(child)


def test_every_kind_of_record_is_in_one_store() -> None:
    for module in ("mandate.compose", "data.cosmos.platform"):
        importlib.import_module(module)  # and with it every module that has one
    assert sorted(places("record")) == sorted(set(kinds(Record)))


def test_every_table_is_in_one_store() -> None:
    tables = re.findall(r"^CREATE TABLE (\w+)", SCHEMA.read_text(), re.MULTILINE)
    made = re.findall(r'f"(search_)\{tenant\}"', (SRC / "data" / "sqlite" / "passages.py").read_text())
    assert sorted(places("table")) == sorted({*tables, *made})


def test_every_container_of_cosmos_is_in_one_store() -> None:
    declared = (ROOT / "environments" / "containers.yaml").read_text()
    names = re.findall(r"^  - id: (\w+)", declared, re.MULTILINE)
    assert names
    assert sorted(places("container")) == sorted(names)


@cache
def kept() -> dict[str, str]:
    """Return what objects of the product keep between calls: file, class and attribute, to its type."""
    found: dict[str, str] = {}
    for path in SRC.rglob("*.py"):
        file = path.relative_to(SRC).as_posix()
        if not file.startswith(tuple(NOT_KEPT)):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found |= {f"{file}:{node.name}.{name}": type_ for name, type_ in _attributes(node)}
                elif isinstance(node, ast.AnnAssign) and _is_keeper(type_ := ast.unparse(node.annotation)):
                    found[f"{file}:{ast.unparse(node.target)}"] = type_
    return found


def _attributes(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node in ast.walk(cls):
        if isinstance(node, ast.AnnAssign):
            type_ = ast.unparse(node.annotation)
            is_field = (
                isinstance(node.target, ast.Name)
                and node.value is not None
                and "default_factory" in ast.unparse(node.value)
            )
            is_own = isinstance(node.target, ast.Attribute)
            if (is_field or is_own) and type_.strip("\"'").partition("[")[0].rpartition(".")[2] in KEEPERS:
                yield ast.unparse(node.target).removeprefix("self."), type_


def _is_keeper(type_: str) -> bool:
    return type_.strip("\"'").partition("[")[0].rpartition(".")[2] in KEEPERS


def test_whatever_is_kept_in_memory_of_somebody_is_in_one_store() -> None:
    somebody = {place for place, type_ in kept().items() if OF_SOMEBODY.search(type_)}
    listed = {place for place in places("memory") if not place.startswith("telemetry/")}
    assert somebody <= listed | set(PER_CALL), sorted(somebody - listed - set(PER_CALL))
    assert listed <= kept().keys(), "the list names what is not there any more"


PER_CALL = {
    "data/sqlite/vectors.py:Index.places": "part of an index in memory",
    "data/checkpoint_checks.py:Walk._heads": "for one verification",
    "data/checkpoint_checks.py:Walk._points": "for one verification",
    "orchestration/checkpointing.py:_Known.heads": "part of what the checkpointer keeps",
}
"""What lives no longer than a call, or in an object that is listed."""


def test_each_store_says_how_it_isolates_exports_and_erases_and_has_a_test() -> None:
    tested = set(re.findall(r'^    "([a-z ]+)": ', TESTS.read_text(), re.MULTILINE))
    assert tested == {store.name for store in STORES}
    for store in STORES:
        assert store.isolates, store.name
        assert store.exports, store.name
        assert store.keeps or store.erases.keys() == {"tenant", "person", "document"}, store.name


def test_each_store_gives_an_archive_what_it_says() -> None:
    for store in STORES:
        nothing = store.exports.startswith(("nothing", "not by itself"))
        assert nothing is (store.archives is None), store.name
